"""SegFormer from a folder in the form of the Hugging Face Hub: `config.json`, `model.safetensors`.

The package `transformers` brings the network and is optional: `pip install 'plainfilm[segformer]'`.
Nothing is ever downloaded, and a folder whose weights do not fill the network is refused.

References:
    Xie et al., SegFormer: Simple and efficient design for semantic segmentation with transformers,
    NeurIPS 2021.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from torch import nn
from torch.nn import functional

from pipelines.errors import ConfigurationError, Reason, RunError
from pipelines.files import sha256
from pipelines.networks.device import pick_device
from pipelines.radiograph import Pixels
from pipelines.transforms.geometry import resize_area

_CONFIG, _WEIGHTS, _PREPROCESSOR = "config.json", "model.safetensors", "preprocessor_config.json"
_SIZE = 512
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class SegFormer:
    """A network that says for every pixel what it belongs to.

    Attributes:
        network: Of `transformers`, in eval mode.
        labels: Names of the labels, in the order of the network's maps.
        size: Height and width to which a film is resized.
        mean: Of each colour, subtracted from values of 0 to 1.
        deviation: Of each colour; the rest is divided by it.
        weights_sha256: SHA-256 of the file of weights.
    """

    network: nn.Module
    labels: tuple[str, ...]
    size: tuple[int, int]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    weights_sha256: str

    @torch.inference_mode()
    def probabilities(self, pixels: Pixels) -> npt.NDArray[np.float32]:
        """Return how probable each label is at each pixel.

        Args:
            pixels: float32, 0 to 1, (3, height, width), red, green and blue.

        Returns:
            float32, (labels, height, width), 0 to 1; they sum to 1 over the labels.
        """
        height, width = self.size
        small = resize_area(pixels, height=height, width=width)
        mean, deviation = (
            np.array(values, np.float32)[:, None, None] for values in (self.mean, self.deviation)
        )
        images = torch.from_numpy((small - mean) / deviation)[None]
        device = next(self.network.parameters()).device
        logits = self.network(pixel_values=images.to(device)).logits.float()
        on_film = functional.interpolate(logits, size=pixels.shape[1:], mode="bilinear")
        answer: npt.NDArray[np.float32] = on_film.softmax(dim=1)[0].cpu().numpy()
        return answer


def load_segformer(folder: Path | str, *, device: torch.device | str = "cpu") -> SegFormer:
    """Load a SegFormer for semantic segmentation from a folder on this machine.

    Args:
        folder: It holds `config.json` and `model.safetensors`, and `preprocessor_config.json` where
            films are not to be resized to 512 x 512 and normalised as for ImageNet.
        device: Where it shall run, as `pick_device` takes it.

    Raises:
        ConfigurationError: If `transformers` is not installed.
        RunError: WEIGHTS_MISSING if a file is not there; WEIGHTS_MISMATCH if the folder is of
            another network, or its weights do not fill this one.
    """
    place = Path(folder)
    for name in (_CONFIG, _WEIGHTS):
        if not (place / name).is_file():
            raise RunError(
                Reason.WEIGHTS_MISSING,
                f"expected {_CONFIG} and {_WEIGHTS} in the folder of a SegFormer, found no {name} "
                f"in {place.name!r}; download the model's folder, and name it",
            )
    kind = _read_json(place / _CONFIG).get("model_type")
    if kind != "segformer":
        raise RunError(
            Reason.WEIGHTS_MISMATCH,
            f"expected the model type segformer in {_CONFIG}, got {kind!r}; "
            "name the folder of a SegFormer for semantic segmentation",
        )
    network = _load_network(place)
    size, mean, deviation = _preprocessing(place / _PREPROCESSOR)
    names: Mapping[Any, str] = network.config.id2label
    return SegFormer(
        network=network.to(pick_device(device)).eval(),
        labels=tuple(str(names[index]) for index in sorted(names)),
        size=size,
        mean=mean,
        deviation=deviation,
        weights_sha256=sha256(place / _WEIGHTS),
    )


def _load_network(folder: Path) -> Any:
    try:
        from transformers import SegformerForSemanticSegmentation
        from transformers.utils import logging
    except ImportError as error:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            "expected the package transformers for a SegFormer, got none; "
            "install it with pip install 'plainfilm[segformer]'",
        ) from error
    # A bar for a load of milliseconds; errors are raised all the same.
    logging.disable_progress_bar()
    try:
        network, report = SegformerForSemanticSegmentation.from_pretrained(
            str(folder), local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except (RuntimeError, ValueError, OSError, KeyError, TypeError, SafetensorError) as error:
        raise RunError(
            Reason.WEIGHTS_MISMATCH,
            f"expected weights of a SegFormer in {_WEIGHTS}, got a file that does not load as such "
            f"({type(error).__name__}); use the {_CONFIG} that they were saved with",
        ) from error
    misfits = sorted(map(str, [*report["missing_keys"], *report["mismatched_keys"]]))
    if misfits:
        raise RunError(
            Reason.WEIGHTS_MISMATCH,
            f"expected weights for every part of the SegFormer, got none for {len(misfits)}, such "
            f"as {misfits[0]!r}; use weights that were trained for segmentation",
        )
    return network


def _preprocessing(file: Path) -> tuple[tuple[int, int], tuple[float, ...], tuple[float, ...]]:
    """Size, mean and deviation; those of the published models where the folder names none."""
    given = _read_json(file) if file.is_file() else {}
    size = given.get("size", _SIZE)
    if isinstance(size, Mapping):
        shortest = size.get("shortest_edge", _SIZE)
        height, width = size.get("height", shortest), size.get("width", shortest)
    else:
        height = width = size
    mean = tuple(map(float, given.get("image_mean", _MEAN)))
    deviation = tuple(map(float, given.get("image_std", _DEVIATION)))
    return (int(height), int(width)), mean, deviation


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunError(
            Reason.WEIGHTS_MISMATCH,
            f"expected JSON in {file.name}, got a file that does not parse; download it again",
        ) from error
    return dict(content) if isinstance(content, Mapping) else {}
