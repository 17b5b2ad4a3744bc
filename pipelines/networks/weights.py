"""Weights on disk: half-precision state dicts, loaded without running any code from the file."""

import copy
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from pipelines.errors import Reason, RunError
from pipelines.files import whole_file
from pipelines.networks.device import pick_device

_UNREADABLE = (
    RuntimeError,
    pickle.UnpicklingError,
    EOFError,
    OSError,
    KeyError,
    SafetensorError,
)
# What DistributedDataParallel and torch.compile put in front of every name.
_WRAPPERS = ("module.", "_orig_mod.")


def save_weights(network: nn.Module, path: Path | str) -> None:
    """Write the state dict of `network` in half precision, whole or not at all.

    Half precision halves the file; the values are read back into float32, and the rounding (at most
    2**-11 relative) is far below what changes a decision.
    """
    state = {
        _plain_name(name): value.detach().cpu().half() if value.is_floating_point() else value.cpu()
        for name, value in network.state_dict().items()
    }
    # Through an open file: of a path, torch would keep the temporary name within the file.
    with whole_file(Path(path)) as temporary, temporary.open("wb") as out:
        torch.save(state, out)


def load_weights(
    network: nn.Module, path: Path | str | None, *, device: torch.device | str = "cpu"
) -> nn.Module:
    """Load a state dict into `network`, move it to `device`, and return it.

    Args:
        network: A network of the architecture that the weights were trained with.
        path: What `read_state` takes; None leaves the network as it is.
        device: Where the network shall run, as `pick_device` takes it.

    Returns:
        The same network, its parameters in their own precision (float32), in channels_last layout.

    Raises:
        RunError: If there is no such file (WEIGHTS_MISSING), or it does not hold weights of this
            network (WEIGHTS_MISMATCH).
    """
    if path is not None:
        _load_state(network, Path(path))
    keep_last_layer_precise(network)
    place = pick_device(device)
    return network.to(device=place, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def plain_network(network: nn.Module, weights: Path) -> nn.Module:
    """Load weights on the CPU and leave out what only serves half precision.

    Args:
        network: Network of the architecture of the weights.
        weights: File of weights.

    Returns:
        A copy of the network in eval mode, float32, without hooks.
    """
    loaded = load_weights(copy.deepcopy(network), weights).eval().float()
    for module in loaded.modules():
        module._forward_hooks.clear()
    return loaded


def keep_last_layer_precise(network: nn.Module) -> None:
    """Let the last linear layer of `network` compute in float32, also under autocast.

    A bfloat16 logit has eight significant bits: probabilities would fall into steps of 0.004, and
    films that differ would tie.
    """
    layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
    if layers and not layers[-1]._forward_hooks:
        layers[-1].register_forward_hook(_linear_in_float32)


def _linear_in_float32(
    layer: nn.Module, inputs: tuple[torch.Tensor, ...], _output: torch.Tensor
) -> torch.Tensor:
    features = inputs[0]
    with torch.autocast(features.device.type, enabled=False):
        return functional.linear(
            features.float(),
            cast("torch.Tensor", layer.weight).float(),
            cast("torch.Tensor", layer.bias).float(),
        )


def _load_state(network: nn.Module, path: Path) -> None:
    if not path.is_file():
        raise RunError(
            Reason.WEIGHTS_MISSING,
            f"expected weights in {path.parent.name}/{path.name}, found no such file; "
            "train first, or name other weights with --set weights=FILE",
        )
    state = read_state(path)
    expected = network.state_dict()
    missing = [name for name in expected if name not in state]
    strange = [name for name in state if name not in expected]
    misfits = [n for n in expected if n in state and state[n].shape != expected[n].shape]
    if missing or strange or misfits:
        example = (missing + strange + misfits)[0]
        raise RunError(
            Reason.WEIGHTS_MISMATCH,
            f"expected weights of {type(network).__name__} in {path.name}, got {len(missing)} "
            f"missing, {len(strange)} unknown and {len(misfits)} of another shape, such as "
            f"{example!r}; use the network that they were trained with",
        )
    network.load_state_dict(state)


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict on the CPU, without running any code from the file.

    Args:
        path: A safetensors file by its suffix, otherwise what `torch.save` wrote: a state dict, or
            a mapping that holds one under `model` or `state_dict`.

    Returns:
        Tensors by name, without what wrappers put in front of every name.

    Raises:
        RunError: WEIGHTS_MISMATCH if the file does not hold a state dict.
    """
    try:
        if path.suffix == ".safetensors":
            return {_plain_name(key): value for key, value in load_file(path).items()}
        if is_damaged(path):
            raise RunError(
                Reason.WEIGHTS_MISMATCH,
                f"expected {path.name} as it was written, got a damaged file; take another "
                "copy of it, or train again",
            )
        content = torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        raise RunError(
            Reason.WEIGHTS_MISMATCH,
            f"expected a PyTorch state dict in {path.name}, got a file that does not load as one",
        ) from error
    return _state_of(content, path.name)


def is_damaged(path: Path) -> bool:
    """Whether a file is not as `torch.save` has written it.

    PyTorch does not look at the checksums that its files hold: of a file in which a bit has changed
    it loads other weights.

    Args:
        path: A file; one of another kind is not damaged, and whoever reads it says what it is.
    """
    try:
        with path.open("rb") as content:
            head = content.read(2)
        if head.strip(b"\0") and head != b"PK" and not zipfile.is_zipfile(path):
            return False
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is not None
    except FileNotFoundError:
        return False
    except Exception:  # noqa: BLE001 - zipfile raises much, by where the damage is
        return True


def _state_of(content: object, name: str) -> dict[str, torch.Tensor]:
    for key in ("model", "state_dict"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(
        isinstance(value, torch.Tensor) for value in content.values()
    ):
        raise RunError(
            Reason.WEIGHTS_MISMATCH, f"expected a PyTorch state dict in {name}, got something else"
        )
    return {_plain_name(str(key)): value for key, value in content.items()}


def _plain_name(name: str) -> str:
    for wrapper in _WRAPPERS:
        name = name.removeprefix(wrapper)
    return name
