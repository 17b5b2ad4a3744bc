"""The engine of an exported file: ONNX Runtime or OpenVINO in the place of PyTorch."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import nn

from pipelines.errors import ConfigurationError, Reason
from pipelines.inference.engine import Engine, Inferer
from pipelines.networks.runtimes.opening import EngineName, open_runtime
from pipelines.networks.runtimes.runtime import RuntimeNetwork

RUNNERS: Mapping[str, tuple[str, ...]] = {
    ".onnx": (EngineName.ONNXRUNTIME, EngineName.OPENVINO, EngineName.TENSORRT),
    ".xml": (EngineName.OPENVINO,),
}
"""What runs exported files, by suffix; the first does where nothing else is asked for."""


class ExportedEngine(Engine):
    """An exported network in the place of PyTorch's.

    It has no gradients, so nothing that looks into a network can be asked of it.

    Args:
        weights: The `.onnx`, or the `.xml` with its `.bin` beside it.
        inferer: MONAI inferer that applies the network.
        name: What runs it: for ONNX `onnxruntime`, `openvino` or `tensorrt`, for OpenVINO's own
            format `openvino`; None takes the first.
        device: Where it runs; OpenVINO takes the CPU.
        batch_size: Films a batch.
        at_once: Batches that run at the same time; None takes one a core, and one where a batch
            is one film.
        full_precision: Whether what is not quantised is computed in float32. Otherwise OpenVINO
            takes bfloat16, where the CPU multiplies that natively.

    Raises:
        ConfigurationError: If a number is wrong, there is no such device, or what was named does
            not run such a file.
    """

    has_gradients = False

    def __init__(
        self,
        weights: str | Path,
        *,
        inferer: Inferer,
        name: str | None = None,
        device: str | torch.device = "cpu",
        batch_size: int = 8,
        at_once: int | None = None,
        full_precision: bool = True,
    ) -> None:
        name = _runner(Path(weights).suffix, name)
        super().__init__(
            nn.Identity(),
            weights,
            device="cpu" if name == EngineName.OPENVINO else device,
            inferer=inferer,
            name=name,
            batch_size=batch_size,
            at_once=1 if at_once is None and batch_size == 1 else at_once,
        )
        self._full_precision = full_precision

    def load(self) -> nn.Module:
        """Open the file, once.

        Returns:
            What calls it as a network.

        Raises:
            RunError: If the runtime finds no network in the file.
            ConfigurationError: If the runtime is not installed.
        """
        with self._lock:
            if not self._loaded:
                runtime = open_runtime(
                    self._asked,
                    self._weights,
                    at_once=self.at_once,
                    device=self.device,
                    full_precision=self._full_precision,
                )
                self._network = RuntimeNetwork(runtime).eval()
                self._loaded = True
            return self._network

    def _start(self, name: str, example: Callable[[], torch.Tensor]) -> nn.Module:
        return self.load()


def _runner(suffix: str, name: str | None) -> str:
    runners = RUNNERS.get(suffix, ())
    if not runners or name not in {None, *runners}:
        known = " or ".join(runners) or "nothing"
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected an exported {suffix or 'file'} to be run by {known}, "
            f"got {name}; leave out --engine, or predict with the bundle",
        )
    return name or runners[0]
