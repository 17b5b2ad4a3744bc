"""What a network says of films whose look is shifted: each film is read once, then shown anew."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from pipelines.errors import ConfigurationError, Reason
from pipelines.evaluation.cases import Cases, logits_of_classes
from pipelines.ingest.read import read_radiograph
from pipelines.progress import progress
from pipelines.radiograph import Pixels
from pipelines.training.dataset import RadiographDataset
from pipelines.training.evaluator import RadiographEvaluator
from pipelines.transforms.geometry import resize_area
from pipelines.transforms.reading import LoadRadiographd
from pipelines.transforms.shifts import Setting, shift_film

LARGEST_SIDE = 448
"""Films whose shorter side is longer are made so small first, in pixels.

Shifts then mean the same on a film at its full size as on a small copy, and cost as much.
"""

_PIXELS_AT_ONCE = 8 * 224 * 224
"""More would not stay near the processor, which then waits for its memory."""


class ShiftedFilms(Dataset[torch.Tensor]):
    """Films, each under all settings, as the network takes them.

    Args:
        films: Films behind a deterministic chain that begins with `LoadRadiographd`.
        names: Name of each film, which seeds its noise.
        settings: At least one.

    Raises:
        ConfigurationError: If the chain begins otherwise.
    """

    def __init__(
        self, films: RadiographDataset, names: Sequence[str], settings: Sequence[Setting]
    ) -> None:
        first = films.transform.transforms[0]
        if not isinstance(first, LoadRadiographd):
            raise ConfigurationError(
                Reason.CONFIGURATION,
                "expected preprocessing that begins with LoadRadiographd, got "
                f"{type(first).__name__}; shifts are applied to films as they are read",
            )
        self._films = films
        self._names = tuple(names)
        self._settings = tuple(settings)

    def __len__(self) -> int:
        """Return the number of films."""
        return len(self._films)

    def __getitem__(self, index: int) -> torch.Tensor:
        """Return a film under all settings, (setting, channel, height, width)."""
        item: Mapping[str, Any] = self._films.data[index]
        film = read_radiograph(item["image"], frame=int(item.get("frame", 0)))
        pixels = _simplified(film.pixels)
        seed = zlib.crc32(self._names[index].encode())
        shown = [
            self._films.transform(
                {**item, "image": replace(film, pixels=shift_film(pixels, setting, seed=seed))}
            )["image"]
            for setting in self._settings
        ]
        return torch.stack([torch.as_tensor(each) for each in shown])


def shifted_cases(
    evaluator: RadiographEvaluator, cases: Cases, settings: Sequence[Setting]
) -> dict[Setting, Cases]:
    """Ask the network about the same films under each setting.

    Args:
        evaluator: As it evaluates the films as they are.
        cases: Those films, in the order of the evaluator's data.
        settings: What to show them under.

    Returns:
        The cases of each setting, in the order of `settings`.
    """
    if not settings:
        return {}
    loader = evaluator.data_loader
    films = ShiftedFilms(loader.dataset, cases.filenames, settings)
    shown = DataLoader(films, batch_size=None, num_workers=loader.num_workers)
    answers = [
        torch.cat([evaluator.answer(part).flatten(1) for part in views.split(_views(views))])
        for views in progress(shown, f"under {len(settings)} shifts", total=len(films))
    ]
    outputs = torch.stack(answers, dim=1).cpu().numpy()
    return {
        setting: replace(cases, logits=logits_of_classes(each, len(cases.classes)))
        for setting, each in zip(settings, outputs, strict=True)
    }


def _views(views: torch.Tensor) -> int:
    """How many views go through the network at once."""
    height, width = views.shape[-2:]
    return max(1, _PIXELS_AT_ONCE // (height * width))


def _simplified(pixels: Pixels) -> Pixels:
    """Grey saved as colour becomes grey, and a large film small."""
    if all(np.array_equal(pixels[0], plane) for plane in pixels[1:]):
        pixels = pixels[:1]
    height, width = pixels.shape[1:]
    scale = LARGEST_SIDE / min(height, width)
    if scale >= 1:
        return pixels
    return resize_area(pixels, height=round(height * scale), width=round(width * scale))
