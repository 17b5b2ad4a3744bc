"""A film larger than the network takes: windows, seams, threads, precision."""

import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.inferers import SlidingWindowInferer
from monai.networks.nets import UNet
from torch import nn

from pipelines.errors import ConfigurationError
from pipelines.networks import sliding_window
from pipelines.networks.sliding_window import SlidingWindow

SIDES = st.integers(1, 50)


def films(count, height, width):
    return torch.rand(count, 1, height, width, generator=torch.Generator().manual_seed(7))


@pytest.fixture(scope="module")
def unet():
    torch.manual_seed(3)
    return UNet(2, 1, 3, channels=[4, 8], strides=[2], num_res_units=1).eval()


@settings(max_examples=30, deadline=None)
@given(
    size=st.tuples(SIDES, SIDES),
    window=st.tuples(st.sampled_from([8, 16, 34]), st.sampled_from([8, 24])),
    overlap=st.sampled_from([0.0, 0.25, 0.6]),
    mode=st.sampled_from(["gaussian", "constant"]),
    at_once=st.sampled_from([None, 1, 3]),
)
def test_maps_are_those_of_monai(unet, size, window, overlap, mode, at_once):
    images = films(2, *size)
    monai = SlidingWindowInferer(window, sw_batch_size=2, overlap=overlap, mode=mode)
    ours = SlidingWindow(window, sw_batch_size=at_once, overlap=overlap, mode=mode)
    with torch.inference_mode():
        found, expected = ours(images, unet), monai(images, unet)
    assert found.shape == expected.shape
    assert torch.allclose(found, expected, atol=2e-5)


def test_windows_run_on_all_cores_and_give_the_same_bits_each_time(unet, monkeypatch):
    monkeypatch.setattr(sliding_window, "usable_cores", lambda: 3)
    together, names = threading.Barrier(3, timeout=20), set()

    def network(window):
        if len(names) < 3:
            names.add(threading.current_thread().name)
            together.wait()
        return unet(window)

    windows, images = SlidingWindow(16), films(1, 61, 50)
    threads = torch.get_num_threads()
    with torch.inference_mode():
        first = windows(images, network)
        assert torch.equal(windows(images, unet), first)
    assert torch.get_num_threads() == threads
    assert len(names) == 3
    monkeypatch.setattr(sliding_window, "usable_cores", lambda: 1)
    with torch.inference_mode():
        assert torch.equal(windows(images, unet), first)


def test_windows_are_float32_under_autocast():
    network, images = nn.Conv2d(1, 1, 3, padding=1), films(1, 32, 32)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        found = SlidingWindow(32)(images, network)
        assert found.dtype == torch.float32
        assert torch.equal(found, network(images).float())


def test_other_threads_compute_as_the_one_that_asks(monkeypatch):
    monkeypatch.setattr(sliding_window, "usable_cores", lambda: 2)
    network, images, seen = nn.Conv2d(1, 1, 3, padding=1), films(1, 40, 40), set()

    def watched(window):
        maps = network(window)
        seen.add((maps.dtype, maps.requires_grad))
        return maps

    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        SlidingWindow(16)(images, watched)
    assert seen == {(torch.bfloat16, False)}
    with torch.no_grad():
        SlidingWindow(16)(images, watched)
    assert seen == {(torch.bfloat16, False), (torch.float32, False)}


def test_gradients_go_through(unet):
    images = films(1, 20, 30).requires_grad_()
    SlidingWindow(16)(images, unet).sum().backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0


def test_a_mistake_in_the_network_comes_out():
    with pytest.raises(RuntimeError, match="channels"):
        SlidingWindow(16)(films(1, 40, 40), nn.Conv2d(2, 1, 1))


def test_no_film_is_refused(unet):
    with pytest.raises(ConfigurationError, match="empty"):
        SlidingWindow(16)(films(0, 40, 40), unet)


@pytest.mark.parametrize(
    "wrong",
    [
        {"roi_size": 0},
        {"roi_size": [16, -1]},
        {"roi_size": [16, 16, 16]},
        {"roi_size": 16, "overlap": 1.0},
        {"roi_size": 16, "overlap": -0.1},
        {"roi_size": 16, "sw_batch_size": 0},
        {"roi_size": 16, "mode": "soft"},
    ],
)
def test_wrong_windows_are_refused(wrong):
    with pytest.raises(ConfigurationError, match="expected"):
        SlidingWindow(**wrong)
