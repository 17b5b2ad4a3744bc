"""TorchScript: a network compiled with its weights, run by PyTorch from Python, C++ or Java."""

import io
import json
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import torch
from torch import nn
from torch.jit.frontend import FrontendError

from pipelines.errors import ConfigurationError, Reason

_SOURCES = ".debug_pkl"


def save_torchscript(network: nn.Module, path: Path, texts: Mapping[str, str]) -> None:
    """Compile a network and write it with texts.

    Compiled, not traced, so that any size of batch and image keeps its own way through it. Among
    the texts come the names of its state, `state.json`: in the file, other tensors stand among
    them.

    Args:
        network: In eval mode, without hooks.
        path: File to write.
        texts: Content by name, kept under `extra/` in the file.

    Raises:
        ConfigurationError: If TorchScript cannot compile the network.
    """
    with _no_deprecation():
        content = io.BytesIO()
        kept = {**texts, "state.json": json.dumps(list(network.state_dict()))}
        try:
            torch.jit.save(torch.jit.script(network), content, _extra_files=kept)
        except (RuntimeError, FrontendError) as error:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected a network that TorchScript compiles, got {type(network).__name__}; "
                "its forward uses Python that TorchScript lacks",
            ) from error
    # Beside the program stand the lines of Python that it came from, with paths of this machine.
    with zipfile.ZipFile(content) as made, zipfile.ZipFile(path, "w") as bare:
        for each in made.infolist():
            if not each.filename.endswith(_SOURCES):
                bare.writestr(each, made.read(each))


def load_torchscript(path: Path) -> Callable[[torch.Tensor], torch.Tensor]:
    """Load a compiled network on the CPU.

    Args:
        path: The file.

    Returns:
        A function from images to what the network gives.
    """
    with _no_deprecation():
        network = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
    return cast("Callable[[torch.Tensor], torch.Tensor]", network)


@contextmanager
def _no_deprecation() -> Iterator[None]:
    # torch 2.13 deprecates TorchScript, which MONAI's bundle format and its users still ask for.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
