"""ONNX Runtime, on the CPU and where its package has them with CUDA and TensorRT."""

from pathlib import Path
from typing import Any

import torch

from pipelines.errors import ConfigurationError, Reason, RunError
from pipelines.networks.device import usable_cores
from pipelines.networks.runtimes.runtime import Planes, required, whole

_PROVIDERS = {"cuda": "CUDAExecutionProvider", "cpu": "CPUExecutionProvider"}
_TENSORRT = "TensorrtExecutionProvider"
_ERRORS_ALONE = 3


class OnnxRuntime:
    """A network in an ONNX file, run by ONNX Runtime.

    Args:
        path: The file.
        at_once: Callers at the same time. On a CPU each of several computes in its own thread; one
            alone has all cores.
        device: `cpu`, or `cuda` with the package `onnxruntime-gpu`.

    Raises:
        ConfigurationError: If ONNX Runtime is not installed, or not for the device.
        RunError: If the file holds no network that it can run.
    """

    name = "onnxruntime"

    def __init__(self, path: Path, *, at_once: int = 1, device: str | torch.device = "cpu") -> None:
        self._runtime = required("onnxruntime", engine=self.name)
        self._runtime.disable_telemetry_events()  # it has some on Windows
        options = self._runtime.SessionOptions()
        options.intra_op_num_threads = 1 if at_once > 1 else usable_cores()
        options.log_severity_level = _ERRORS_ALONE
        providers = self._providers(torch.device(device))
        try:
            self._session = self._runtime.InferenceSession(str(path), options, providers=providers)
        except Exception as error:
            raise RunError(
                Reason.WEIGHTS_MISMATCH,
                f"expected a network in {path.name} that {self.name} can run, got "
                f"{type(error).__name__}; convert it anew",
            ) from error
        self._input = self._session.get_inputs()[0].name

    def __call__(self, images: Planes) -> Planes:
        """Run the network, as `Runtime` says."""
        return whole(self._session.run(None, {self._input: images})[0])

    def _providers(self, device: torch.device) -> list[Any]:
        wanted = _PROVIDERS.get(device.type)
        self._require(wanted, f"the device {device.type}")
        if wanted == _PROVIDERS["cpu"]:
            return [wanted]
        return [(wanted, {"device_id": device.index or 0}), _PROVIDERS["cpu"]]

    def _require(self, provider: str | None, what: str) -> None:
        known = self._runtime.get_available_providers()
        if provider not in known:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected an ONNX Runtime for {what}, got one with {', '.join(known)}; install "
                "onnxruntime-gpu in its place, or take the engine torch",
            )


class TensorRtRuntime(OnnxRuntime):
    """A network in an ONNX file, run by TensorRT where ONNX Runtime was installed with it.

    TensorRT builds its own program of the network for each shape of batch, in half precision, when
    the first one comes: that takes a minute or more.

    Args:
        path: The file.
        at_once: Callers at the same time.
        device: `cuda`, with a number or without.
        full_precision: Whether all is computed in float32.
    """

    name = "tensorrt"

    def __init__(
        self,
        path: Path,
        *,
        at_once: int = 1,
        device: str | torch.device = "cuda",
        full_precision: bool = False,
    ) -> None:
        self._half = not full_precision
        super().__init__(path, at_once=at_once, device=device)

    def _providers(self, device: torch.device) -> list[Any]:
        self._require(_TENSORRT if device.type == "cuda" else None, "TensorRT on CUDA")
        options = {"device_id": device.index or 0, "trt_fp16_enable": self._half}
        return [(_TENSORRT, options), *super()._providers(device)]
