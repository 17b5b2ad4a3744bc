"""A trained network as an ONNX file, which gives PyTorch's numbers or is not written."""

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import torch
from torch import nn
from torch.export import Dim

from pipelines.errors import Reason, RunError
from pipelines.files import whole_file
from pipelines.networks.runtimes.onnx_runtime import OnnxRuntime
from pipelines.networks.runtimes.runtime import INPUT, OUTPUT

TOLERANCE = 1e-4
"""Largest difference to PyTorch in float32, as a share of the largest output and at least of 1."""

_BATCHES = (1, 2)
_LOGGERS = ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")


def to_onnx(network: nn.Module, path: Path, *, shape: tuple[int, int, int]) -> None:
    """Write a network as ONNX by PyTorch's exporter, whole or not at all, and see that it is right.

    The number of films is free; so are height and width where the network takes any.

    Args:
        network: In float32 on the CPU, as `plain_network` makes it; it stays as it is.
        path: File to write.
        shape: Channels, height and width of a film that the network takes.

    Raises:
        RunError: If PyTorch cannot export the network, or the file gives other numbers.
    """
    exported = _prepared(network)
    with whole_file(path) as temporary:
        _export(exported, temporary, shape)
        difference = _difference(exported, temporary, shape)
        if not difference <= TOLERANCE:
            raise RunError(
                Reason.INTERNAL,
                f"expected the ONNX file to give PyTorch's numbers within {TOLERANCE:g} of the "
                f"largest, got a difference of {difference:.2g}; take the engine torch, and please "
                "report it",
            )


def _prepared(network: nn.Module) -> nn.Module:
    """Copy a network, and let MONAI's EfficientNet use the SiLU that can be exported."""
    exported = copy.deepcopy(network).eval()
    for module in exported.modules():
        # build_efficientnet has PyTorch's SiLU in its place already.
        switch = getattr(module, "set_swish", None)
        if callable(switch) and not isinstance(module._swish, nn.SiLU):
            switch(memory_efficient=False)
    return exported


def _export(network: nn.Module, path: Path, shape: tuple[int, int, int]) -> None:
    """Export with all sizes free, and where the network does not allow it, the batch alone.

    Raises:
        OSError: If the file cannot be written.
        RunError: If PyTorch cannot export the network.
    """
    free: dict[int, Dim] = {0: Dim.DYNAMIC}
    problem: Exception | None = None
    for sizes in ({**free, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC}, free):
        try:
            with _quiet(), torch.no_grad():
                program = torch.onnx.export(
                    network,
                    # Two: of one film, the exporter would take the number for fixed.
                    (torch.zeros(2, *shape),),
                    input_names=[INPUT],
                    output_names=[OUTPUT],
                    dynamic_shapes=(sizes,),
                    dynamo=True,
                    verbose=False,
                )
            if program is not None:  # it is None only where a file was named above
                from onnx_ir.passes.common import ClearMetadataAndDocStringPass

                # Its notes hold lines of Python with the paths of this machine.
                ClearMetadataAndDocStringPass()(program.model)
                program.save(path, external_data=False)
                return
        except Exception as error:
            if isinstance(error, OSError):  # of the disk, not of the network
                raise
            problem = error
    raise RunError(
        Reason.CONFIGURATION,
        f"expected a network that PyTorch can export as ONNX, got {type(network).__name__}, which "
        f"ends in {type(problem).__name__}; take the engine torch",
    ) from problem


@torch.inference_mode()
def _difference(network: nn.Module, path: Path, shape: tuple[int, int, int]) -> float:
    runtime = OnnxRuntime(path)
    random = torch.Generator().manual_seed(0)
    worst = 0.0
    for count in _BATCHES:
        images = torch.randn((count, *shape), generator=random)
        expected, found = network(images), torch.from_numpy(runtime(images.numpy()))
        if found.shape != expected.shape:
            return float("inf")
        largest = max(1.0, float(expected.abs().max()))
        worst = max(worst, float((found - expected).abs().max()) / largest)
    return worst


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the exporter says of its own doing to itself."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
