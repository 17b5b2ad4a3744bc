import os
import pickle

import pytest
import torch
from monai.networks.nets import DenseNet121
from torch import nn

from pipelines.errors import ConfigurationError, Reason, RunError
from pipelines.networks.weights import load_weights, save_weights


def network():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4))


def test_weights_come_back_within_half_precision(tmp_path):
    torch.manual_seed(0)
    before = network()
    before[1].num_batches_tracked += 3
    save_weights(before, tmp_path / "model.pt")
    after = load_weights(network(), tmp_path / "model.pt")
    for name, value in before.state_dict().items():
        read = after.state_dict()[name]
        assert read.dtype == value.dtype
        assert torch.allclose(read.double(), value.double(), rtol=2**-11, atol=1e-7)


def test_equal_weights_are_equal_files(tmp_path):
    made = network()
    for name in ("a.pt", "b.pt"):
        save_weights(made, tmp_path / name)
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()


def test_shipped_size_is_that_of_half_precision(tmp_path):
    save_weights(DenseNet121(spatial_dims=2, in_channels=1, out_channels=1), tmp_path / "model.pt")
    assert (tmp_path / "model.pt").stat().st_size < 16e6


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_names_put_in_front_by_wrappers_are_removed(tmp_path, prefix):
    state = {prefix + name: value for name, value in network().state_dict().items()}
    torch.save({"model": state}, tmp_path / "model.pt")
    loaded = load_weights(network(), tmp_path / "model.pt").state_dict()
    assert torch.equal(loaded["0.weight"], state[prefix + "0.weight"])


def test_no_path_leaves_the_network_as_it_is():
    untouched = network()
    before = untouched[0].weight.clone()
    assert torch.equal(load_weights(untouched, None)[0].weight, before)


def test_device_is_named_as_everywhere():
    assert load_weights(network(), None, device="auto")[0].weight.device.type in {
        "cpu",
        "cuda",
        "mps",
    }
    with pytest.raises(ConfigurationError, match="a device of this machine, got 'gpu'"):
        load_weights(network(), None, device="gpu")


def test_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(RunError, match=r"models/model.pt, found no such file; train first") as seen:
        load_weights(network(), tmp_path / "models" / "model.pt")
    assert seen.value.reason is Reason.WEIGHTS_MISSING
    assert str(tmp_path) not in str(seen.value)


@pytest.mark.parametrize(
    "other",
    [nn.Sequential(nn.Conv2d(1, 5, 3), nn.BatchNorm2d(5)), nn.Sequential(nn.Conv2d(1, 4, 3))],
)
def test_weights_of_another_network_are_refused(tmp_path, other):
    save_weights(other, tmp_path / "model.pt")
    with pytest.raises(RunError, match="expected weights of Sequential") as seen:
        load_weights(network(), tmp_path / "model.pt")
    assert seen.value.reason is Reason.WEIGHTS_MISMATCH


# torch doubts a pickle of another protocol before it refuses it.
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("content", [b"", b"not weights", pickle.dumps([1, 2])])
def test_what_is_no_state_dict_is_refused(tmp_path, content):
    (tmp_path / "model.pt").write_bytes(content)
    with pytest.raises(RunError) as seen:
        load_weights(network(), tmp_path / "model.pt")
    assert seen.value.reason is Reason.WEIGHTS_MISMATCH


def test_no_code_of_the_file_is_run(tmp_path):
    class Harmful:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "harmed"),))

    torch.save({"model": Harmful()}, tmp_path / "model.pt")
    with pytest.raises(RunError):
        load_weights(network(), tmp_path / "model.pt")
    assert not (tmp_path / "harmed").exists()


def test_logits_keep_float32_precision_under_autocast():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
    films = torch.randn(200, 1, 8, 8)
    exact = network(films)
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.inference_mode():
        coarse = network(films)
        precise = load_weights(network, None)(films)
    assert precise.dtype == torch.float32
    assert len(precise.unique()) > 195 > len(coarse.unique())
    assert (precise - exact).abs().max() < 0.02


def test_copy_of_a_network_uses_its_own_last_layer():
    import copy

    network = load_weights(nn.Sequential(nn.Linear(4, 1)), None)
    twin = copy.deepcopy(network)
    nn.init.constant_(twin[0].weight, 0.0)
    nn.init.constant_(twin[0].bias, 3.0)
    assert twin(torch.ones(1, 4)).item() == 3.0
    assert load_weights(network, None) is network
    assert len(network[0]._forward_hooks) == 1
