"""OpenVINO on the CPU."""

import threading
from pathlib import Path
from typing import Any

import torch

from pipelines.errors import Reason, RunError
from pipelines.networks.device import autocast_dtype, usable_cores
from pipelines.networks.runtimes.runtime import Planes, required, whole

_MOST_SHAPES = 4


class OpenVinoRuntime:
    """A network in an ONNX file or OpenVINO's own, run by OpenVINO.

    The network is compiled for the shapes of the first few batches, which runs quicker than one for
    any shape; that one is made only where more shapes come.

    Args:
        path: `.onnx`, or `.xml` with its `.bin` beside it.
        at_once: Callers at the same time; the cores are shared among them.
        full_precision: Whether all is computed in float32. Otherwise it is bfloat16 where the CPU
            multiplies that natively.

    Raises:
        ConfigurationError: If OpenVINO is not installed.
        RunError: If the file holds no network that it can run.
    """

    name = "openvino"

    def __init__(self, path: Path, *, at_once: int = 1, full_precision: bool = False) -> None:
        openvino = required("openvino", engine=self.name)
        half = not full_precision and autocast_dtype(torch.device("cpu")) == torch.bfloat16
        self._settings = {
            "NUM_STREAMS": at_once,
            "INFERENCE_NUM_THREADS": usable_cores(),
            "INFERENCE_PRECISION_HINT": "bf16" if half else "f32",
        }
        self._core = openvino.Core()
        self._file = path.name
        try:
            self._model = self._core.read_model(path)
        except Exception as error:
            raise self._refused(error) from error
        self._compiled: dict[tuple[int, ...] | None, Any] = {}
        self._lock = threading.Lock()
        self._own = threading.local()

    def __call__(self, images: Planes) -> Planes:
        """Run the network, as `Runtime` says."""
        request = self._request(images.shape)
        request.infer({0: images}, share_inputs=True)
        return whole(request.get_output_tensor(0).data)

    def _request(self, shape: tuple[int, ...]) -> Any:
        """Return the thread's own request for a shape."""
        requests: dict[int, Any] = self._own.__dict__.setdefault("requests", {})
        compiled = self._compiled_for(shape)
        if id(compiled) not in requests:
            requests[id(compiled)] = compiled.create_infer_request()
        return requests[id(compiled)]

    def _compiled_for(self, shape: tuple[int, ...]) -> Any:
        with self._lock:
            if shape in self._compiled:
                return self._compiled[shape]
            key = shape if len(self._compiled) < _MOST_SHAPES else None
            if key not in self._compiled:
                self._compiled[key] = self._compile(key)
            return self._compiled[key]

    def _compile(self, shape: tuple[int, ...] | None) -> Any:
        try:
            model = self._model.clone()
            if shape is not None:
                model.reshape(shape)
            return self._core.compile_model(model, "CPU", self._settings)
        except Exception as error:
            raise self._refused(error) from error

    def _refused(self, error: Exception) -> RunError:
        return RunError(
            Reason.WEIGHTS_MISMATCH,
            f"expected a network in {self._file} that {self.name} can run, got "
            f"{type(error).__name__}; convert it anew",
        )
