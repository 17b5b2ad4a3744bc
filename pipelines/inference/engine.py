"""Where the network runs: batches of prepared films go in, logits come out."""

import hashlib
import logging
import threading
from collections.abc import Callable
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

import pipelines
from pipelines.errors import PlainfilmError
from pipelines.files import sha256
from pipelines.inference.engine_cache import converted, remember, remembered
from pipelines.inference.engine_trial import AUTO, candidates, machine, measure, told, variants
from pipelines.inference.settings import whole_number
from pipelines.networks.device import autocast, pick_device, usable_cores
from pipelines.networks.full_precision import needs_full_precision
from pipelines.networks.overlap import one_thread_an_operation
from pipelines.networks.runtimes.definition import definition
from pipelines.networks.runtimes.opening import EngineName, engine_name, open_runtime
from pipelines.networks.runtimes.runtime import RuntimeNetwork
from pipelines.networks.weights import load_weights, plain_network

Logits: TypeAlias = npt.NDArray[np.float32]
Inferer: TypeAlias = Callable[[torch.Tensor, nn.Module], torch.Tensor]

_SHAPED_BY = ("torch", "monai", "onnx", "onnxscript")
"""Packages that shape a converted network."""

_log = logging.getLogger(__name__)


class Engine:
    """A network in inference mode, run by PyTorch or, once it is converted, by something quicker.

    PyTorch runs it channels last, in the device's quick precision. For the others it is converted
    once to ONNX and kept on this machine (`engine_cache`). What explains films (`load`) always
    gets PyTorch's network.

    The weights are read when they are first needed, so that a configuration can be checked where
    they are not there yet.

    Args:
        network: Network of the architecture of the weights.
        weights: State dict, such as `models/model.pt`.
        device: Where it runs: what `pick_device` takes.
        inferer: MONAI inferer that applies the network.
        name: `torch`, `onnxruntime`, `openvino` or `tensorrt`; `auto` takes the quickest of those
            that there are and that give PyTorch's answers.
        batch_size: Films a batch. A smaller batch is filled up with zeros: kernels are chosen by
            shape, so a film gets the same answer in whatever company it comes.
        at_once: Batches that run at the same time; None takes one a core on a CPU and one
            elsewhere. Each holds its own outputs, 490 MB for 29 maps of 2048 x 2048.

    Raises:
        ConfigurationError: If there is no such engine or device, or `batch_size` or `at_once` is no
            whole number above 0.
    """

    has_gradients = True
    """Whether the network can be looked into; one of an exported file cannot."""

    def __init__(
        self,
        network: nn.Module,
        weights: str | Path,
        *,
        device: str | torch.device,
        inferer: Inferer,
        name: str = EngineName.TORCH,
        batch_size: int = 8,
        at_once: int | None = None,
    ) -> None:
        self._network = network
        self._weights = Path(weights)
        self._inferer = inferer
        self._loaded = False
        self._lock = threading.RLock()
        self._asked = engine_name(name, also=(AUTO,))
        self._running: tuple[str, nn.Module] | None = None
        self.device = pick_device(device)
        self.batch_size = whole_number("engine.batch_size", batch_size)
        if at_once is None:
            at_once = usable_cores() if self.device.type == "cpu" else 1
        self.at_once = whole_number("engine.at_once", at_once)

    @property
    def name(self) -> str:
        """What runs the network; before `begin`, what was asked for."""
        return self._asked if self._running is None else self._running[0]

    def load(self) -> nn.Module:
        """Read the weights into PyTorch's network, once.

        Returns:
            The network with its weights, on the device.

        Raises:
            RunError: If the weights are missing or belong to another network.
        """
        with self._lock:
            if not self._loaded:
                loaded = load_weights(self._network, self._weights, device=self.device)
                self._network = loaded.eval()
                self._loaded = True
            return self._network

    def begin(
        self,
        example: Callable[[], torch.Tensor],
        *,
        before: Callable[[], str | None] = lambda: None,
    ) -> None:
        """Get ready to run: read weights, convert the network, choose what runs it.

        Args:
            example: Gives a prepared film, float32, (channel, height, width), if one is needed.
            before: Gives what `auto` chose for the films of an earlier run, which goes on.

        Raises:
            PlainfilmError: If the weights are missing or belong to another network, or the engine
                is not installed, not for the device, or does not take the network.
        """
        with self._lock, one_thread_an_operation(enabled=self.at_once > 1):
            if self._running is not None:
                return
            if not self._weights.is_file():
                self.load()  # which says what is missing
            if self._asked == AUTO:
                self._running = self._as_before(before(), example) or self._quickest(example())
            else:
                self._running = self._asked, self._start(self._asked, example)

    @cached_property
    def weights_sha256(self) -> str:
        """SHA-256 of the file of weights."""
        return sha256(self._weights)

    @torch.inference_mode()
    def __call__(self, images: torch.Tensor) -> Logits:
        """Run the network.

        Args:
            images: float32, (n, channel, height, width), n at most `batch_size`.

        Returns:
            float32, (n, outputs).
        """
        if self._running is None:
            self.begin(lambda: images[0])
        count = images.shape[0]
        if count < self.batch_size:
            images = torch.cat(
                [images, images.new_zeros(self.batch_size - count, *images.shape[1:])]
            )
        return self._run(images, *(self._running or (self.name, self.load())))[:count]

    def try_out(self, image: torch.Tensor) -> None:
        """Show the network one film, to see that it takes it.

        PyTorch gets it alone, which takes a fifth of the time of a batch; what was compiled for
        batches gets one.

        Args:
            image: float32, (channel, height, width).
        """
        if self._running is None:
            self.begin(lambda: image)
        if self.name == EngineName.TORCH:
            self._run(image[None], self.name, self.load())
        else:
            self(image[None])

    @torch.inference_mode()
    def _run(self, images: torch.Tensor, name: str, network: nn.Module) -> Logits:
        if name != EngineName.TORCH:
            return self._inferer(images, network).float().numpy()
        images = images.to(self.device, memory_format=torch.channels_last)
        with autocast(self.device):
            return self._inferer(images, network).float().cpu().numpy()

    def _start(self, name: str, example: Callable[[], torch.Tensor]) -> nn.Module:
        if name == EngineName.TORCH:
            return self.load()
        runtime = open_runtime(
            name,
            self._converted(example()),
            at_once=self.at_once,
            device=self.device,
            full_precision=needs_full_precision(self._inferer),
        )
        return RuntimeNetwork(runtime)

    def _converted(self, example: torch.Tensor) -> Path:
        from pipelines.networks.runtimes.onnx_file import to_onnx  # it loads PyTorch's exporter

        channels, height, width = example.shape

        def write(path: Path) -> None:
            _log.warning("converting the network to ONNX, once for these weights")
            network = plain_network(self._network, self._weights)
            to_onnx(network, path, shape=(channels, height, width))

        versions = [f"{package} {version(package)}" for package in _SHAPED_BY]
        return converted(self._key(tuple(example.shape), versions), write)

    def _as_before(
        self, name: str | None, example: Callable[[], torch.Tensor]
    ) -> tuple[str, nn.Module] | None:
        try:
            return None if name is None else (name, self._start(name, example))
        except PlainfilmError as error:
            _log.warning("engine %s of the earlier run cannot go on: %s", name, error)
            return None

    def _quickest(self, example: torch.Tensor) -> tuple[str, nn.Module]:
        """Choose by a trial, or by what an earlier one has found on this machine."""
        shape = (self.batch_size, *example.shape)
        precise = needs_full_precision(self._inferer)
        names = candidates(self.device)
        settings = (shape, self.at_once, definition(self._inferer), names)
        key = self._key(machine(self.device), settings)
        chosen = remembered(key).get("engine")
        if chosen in names:
            _log.warning(
                "engine %s, which an earlier trial has found to be the quickest here", chosen
            )
            return str(chosen), self._start(chosen, lambda: example)
        started: dict[str, nn.Module] = {}

        def start(name: str) -> Callable[[torch.Tensor], Logits]:
            started[name] = self._start(name, lambda: example)
            return partial(self._run, name=name, network=started[name])

        images = variants(example, self.batch_size)
        speeds = measure(names, start, images, at_once=self.at_once, precise=precise)
        chosen = max(speeds, key=speeds.__getitem__)
        _log.warning("%s", told(speeds, chosen))
        remember(key, {"engine": chosen, "films_per_second": speeds})
        return chosen, started[chosen]

    def _key(self, *more: object) -> str:
        """Name what is kept for these weights of this network."""
        words = (self.weights_sha256, definition(self._network), pipelines.__version__, *more)
        return hashlib.sha256(repr(words).encode()).hexdigest()[:32]
