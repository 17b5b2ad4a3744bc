"""Converted networks give PyTorch's numbers, whoever runs them and however many call at once."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from monai.inferers import SimpleInferer
from monai.networks.layers.factories import Act
from monai.networks.nets import UNet
from torch import nn

from pipelines.errors import ConfigurationError, RunError
from pipelines.networks.augmented import AugmentedInferer
from pipelines.networks.full_precision import FullPrecisionInferer
from pipelines.networks.runtimes import onnx_file
from pipelines.networks.runtimes.onnx_file import to_onnx
from pipelines.networks.runtimes.onnx_runtime import OnnxRuntime
from pipelines.networks.runtimes.opening import open_runtime
from pipelines.networks.runtimes.openvino_runtime import OpenVinoRuntime
from pipelines.networks.runtimes.runtime import RuntimeNetwork
from pipelines.networks.sliding_window import SlidingWindow

SHAPE = (1, 32, 32)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    made = UNet(spatial_dims=2, in_channels=1, out_channels=3, channels=(4, 8, 8), strides=(2, 2))
    return made.eval()


@pytest.fixture(scope="module")
def path(network, tmp_path_factory):
    written = tmp_path_factory.mktemp("converted") / "model.onnx"
    to_onnx(network, written, shape=SHAPE)
    return written


@pytest.fixture(scope="module", params=["onnxruntime", "openvino"])
def runtime(request, path):
    return open_runtime(request.param, path, at_once=2, full_precision=True)


def films(count, *, side=32, seed=0):
    return torch.randn(count, 1, side, side, generator=torch.Generator().manual_seed(seed))


@torch.inference_mode()
def expected(network, images):
    return network(images).numpy()


@pytest.mark.parametrize("count", [1, 2, 5])
def test_any_number_of_films(network, runtime, count):
    images = films(count)
    found = runtime(images.numpy())
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected(network, images), atol=1e-4)


def test_any_size_that_the_network_takes(network, runtime):
    for side in (16, 48, 64, 80, 96):  # more than are compiled one by one
        images = films(2, side=side)
        np.testing.assert_allclose(runtime(images.numpy()), expected(network, images), atol=1e-4)


def test_threads_that_call_at_once_get_their_own_answers(network, runtime):
    batches = [films(2, seed=seed) for seed in range(12)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda images: runtime(images.numpy()), batches))
    for images, answer in zip(batches, found, strict=True):
        np.testing.assert_allclose(answer, expected(network, images), atol=1e-4)


def test_an_answer_stays_when_the_next_film_comes(runtime):
    first = runtime(films(1).numpy())
    kept = first.copy()
    runtime(films(1, seed=1).numpy())
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize(
    "inferer",
    [
        SimpleInferer(),
        AugmentedInferer(flips=["left_right"], rotations=[90]),
        FullPrecisionInferer(),
        SlidingWindow(16, sw_batch_size=2),
    ],
    ids=lambda each: type(each).__name__,
)
@torch.inference_mode()
def test_every_inferer_takes_it_for_a_network(network, runtime, inferer):
    images = films(2).to(memory_format=torch.channels_last)
    found = inferer(images, RuntimeNetwork(runtime))
    torch.testing.assert_close(found, inferer(images, network), atol=1e-4, rtol=0)


def test_half_precision_stays_close(network, path):
    images = films(2)
    found = OpenVinoRuntime(path)(images.numpy())
    largest = np.abs(expected(network, images)).max()
    np.testing.assert_allclose(found, expected(network, images), atol=0.03 * largest)


class Swished(nn.Module):
    """As MONAI's EfficientNet: its activation has a switch for export."""

    def __init__(self):
        super().__init__()
        self.set_swish(memory_efficient=True)

    def set_swish(self, memory_efficient):
        self._swish = Act["memswish" if memory_efficient else "swish"]()

    def forward(self, images):
        return self._swish(images)


def test_the_activation_of_monai_s_efficientnet_is_switched_in_a_copy(tmp_path, capfd):
    network = Swished()
    to_onnx(network, tmp_path / "model.onnx", shape=SHAPE)
    assert isinstance(network._swish, Act["memswish"])
    assert OnnxRuntime(tmp_path / "model.onnx")(films(3).numpy()).shape == (3, *SHAPE)
    assert capfd.readouterr() == ("", "")


class Whimsical(nn.Module):
    """A network whose way depends on what it sees."""

    def forward(self, images):
        return images.mean(dim=(2, 3)) * (2 if images.sum() > 0 else 3)


def test_what_cannot_be_exported_is_refused_and_leaves_no_file(tmp_path):
    with pytest.raises(RunError, match="take the engine torch"):
        to_onnx(Whimsical(), tmp_path / "model.onnx", shape=SHAPE)
    assert not list(tmp_path.iterdir())


def test_other_numbers_leave_no_file(network, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_file, "TOLERANCE", -1.0)
    monkeypatch.setattr(onnx_file, "_export", lambda *_: None)
    monkeypatch.setattr(onnx_file, "_difference", lambda *_: 0.5)
    with pytest.raises(RunError, match=r"a difference of 0\.5"):
        to_onnx(network, tmp_path / "model.onnx", shape=SHAPE)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_a_file_that_holds_no_network_is_refused(name, tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"nothing")
    with pytest.raises(RunError, match=r"expected a network in model\.onnx"):
        open_runtime(name, tmp_path / "model.onnx")


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_a_package_that_is_missing_is_named(name, path, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigurationError, match=f"pip install {name}"):
        open_runtime(name, path)


@pytest.mark.parametrize(
    ("name", "device", "said"),
    [
        ("onnxruntime", "cuda", "install onnxruntime-gpu"),
        ("tensorrt", "cuda", "TensorRT on CUDA"),
        ("tensorrt", "cpu", "TensorRT on CUDA"),
        ("openvino", "cuda", "expected the device cpu"),
        ("torch", "cpu", "no engine of converted networks"),
    ],
)
def test_an_engine_that_is_not_for_the_device_is_refused(path, name, device, said):
    with pytest.raises(ConfigurationError, match=said):
        open_runtime(name, path, device=device)
