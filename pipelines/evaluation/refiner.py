"""A trained refiner: masks of a first network become outlines at the film's own resolution.

Where the refiner disagrees with the first network altogether, the first network's mask stands: the
refiner has seen one bone from near and cannot know that it is another one.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pipelines.errors import ConfigurationError, Reason, RunError
from pipelines.evaluation.regions import Mask
from pipelines.evaluation.segmentation_point import SegmentationPoint
from pipelines.files import sha256, write_json
from pipelines.networks.device import pick_device
from pipelines.networks.refiner import BoneRefiner
from pipelines.networks.weights import load_weights
from pipelines.radiograph import Pixels
from pipelines.transforms.bone_crops import Crops, FilmFrames, join_crops
from pipelines.transforms.bone_frames import paste
from pipelines.transforms.intensity import stretch
from pipelines.transforms.letterbox import Letterbox
from pipelines.transforms.reading import with_channels

WEIGHTS_NAME = "refiner.pt"
SETTINGS_NAME = "refiner.json"

BESIDE = "beside"
"""Takes the refiner beside the weights of the first network, where there is one."""

_NEVER = -20.0  # a logit: two in a billion


@dataclass(frozen=True, slots=True)
class RefinerSettings:
    """What stands beside the weights of a refiner.

    Attributes:
        point: Names and thresholds of the bones, chosen on validation films.
        height: Height of a crop in pixels.
        width: Width of it.
        margin: See `bone_frames.find_frames`.
        channels: Of the levels of the network.
        embedding: How many numbers tell bones apart.
        least_overlap: A refined mask whose IoU with the first one is less is not believed.

    Raises:
        ConfigurationError: If a number is out of its range.
    """

    point: SegmentationPoint
    height: int
    width: int
    margin: float
    channels: tuple[int, ...]
    embedding: int
    least_overlap: float

    def __post_init__(self) -> None:
        """Hold the fields against their rule.

        Raises:
            ConfigurationError: If a number is out of its range.
        """
        if min(self.height, self.width) < 1 or self.margin < 0 or not 0 <= self.least_overlap <= 1:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                "expected a height and width of 1 or more, a margin of 0 or more and a "
                f"least_overlap from 0 to 1, got {self.height}, {self.width}, {self.margin} and "
                f"{self.least_overlap}",
            )

    def save(self, path: Path) -> None:
        """Write the settings as JSON."""
        content = asdict(self)
        write_json(path, {"task": "refinement", **content.pop("point"), **content})

    @staticmethod
    def load(path: Path) -> "RefinerSettings":
        """Read what `save` wrote.

        Raises:
            ConfigurationError: If the file is missing or wrong.
        """
        try:
            content = json.loads(path.read_text("utf-8"))
            return RefinerSettings(
                point=SegmentationPoint.of(content),
                height=int(content["height"]),
                width=int(content["width"]),
                margin=float(content["margin"]),
                channels=tuple(map(int, content["channels"])),
                embedding=int(content["embedding"]),
                least_overlap=float(content["least_overlap"]),
            )
        except ConfigurationError:
            raise
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(
                Reason.WEIGHTS_MISMATCH,
                f"expected the settings of a refiner in {path.name} beside its weights, got "
                f"{type(error).__name__}; copy both files, or set refiner=null",
            ) from error


class Refiner:
    """A refiner with its weights.

    Args:
        weights: The file of weights; `refiner.json`, of the same stem, stands beside it.
        device: Where it runs, as `pick_device` takes it.
        largest_piece: Keep the largest connected part of each bone alone; None does what its
            settings say.
    """

    def __init__(
        self,
        weights: str | Path,
        *,
        device: str | torch.device = "cpu",
        largest_piece: bool | None = None,
    ) -> None:
        self._weights = Path(weights)
        self._device = pick_device(device)
        self._largest_piece = largest_piece

    @classmethod
    def find(cls, refiner: str | Path | None, *, weights: Path, **options: Any) -> "Refiner | None":
        """Return the refiner that a configuration names.

        Args:
            refiner: `beside`, a file, or None for none.
            weights: Of the first network.
            options: As in the constructor.

        Returns:
            The refiner; None if none is asked for, or `beside` finds none.

        Raises:
            RunError: If a file is named that is not there.
        """
        if refiner is None:
            return None
        path = weights.parent / WEIGHTS_NAME if str(refiner) == BESIDE else Path(refiner)
        if path.is_file():
            return cls(path, **options)
        if str(refiner) == BESIDE:
            return None
        raise RunError(
            Reason.WEIGHTS_MISSING,
            f"expected a refiner in {path.parent.name}/{path.name}, found no such file; name "
            "another with --set refiner=FILE, or set refiner=null",
        )

    @cached_property
    def settings(self) -> RefinerSettings:
        """Its settings."""
        settings = RefinerSettings.load(self._weights.with_suffix(".json"))
        if self._largest_piece is None:
            return settings
        return replace(settings, point=replace(settings.point, largest_piece=self._largest_piece))

    @cached_property
    def network(self) -> BoneRefiner:
        """Its network, with weights."""
        settings = self.settings
        network = BoneRefiner(
            len(settings.point.classes), channels=settings.channels, embedding=settings.embedding
        )
        load_weights(network, self._weights, device=self._device)
        return network.eval()

    @cached_property
    def weights_sha256(self) -> str:
        """SHA-256 of its file of weights."""
        return sha256(self._weights)

    def about(self) -> Mapping[str, object]:
        """Say what it is, for `summary.json`; its weights are read for it."""
        point = self.settings.point
        _ = self.network
        return {
            "sha256": self.weights_sha256,
            "thresholds": dict(zip(point.classes, point.thresholds, strict=True)),
            "least_overlap": self.settings.least_overlap,
        }

    def check_classes(self, point: SegmentationPoint) -> None:
        """Refuse a refiner of other bones than the first network's.

        Raises:
            ConfigurationError: If they differ.
        """
        if self.settings.point.classes != point.classes:
            raise ConfigurationError(
                Reason.WEIGHTS_MISMATCH,
                f"expected a refiner for {', '.join(point.classes)}, got one for "
                f"{', '.join(self.settings.point.classes)}; set refiner=null, or to another file",
            )

    @torch.inference_mode()
    def __call__(
        self,
        film: Pixels,
        logits: npt.NDArray[np.float32],
        *,
        placement: object,
        point: SegmentationPoint,
    ) -> "RefinedFilm":
        """Draw every bone of a film anew.

        Args:
            film: As it was read, 0 to 1, (1 or 3, height, width).
            logits: What the first network said, (bones, height, width) at its size.
            placement: How the film lies there.
            point: The first network's operating point.

        Returns:
            What the refiner drew.

        Raises:
            ConfigurationError: If it is of other bones, or the placement is no `Letterbox`.
        """
        self.check_classes(point)
        if not isinstance(placement, Letterbox):
            raise ConfigurationError(
                Reason.CONFIGURATION,
                "expected films that were resized with Letterboxd, since the refiner looks for "
                "bones on the film itself; set refiner=null",
            )
        settings = self.settings
        masks = np.stack([point.decide(plane, bone) for bone, plane in enumerate(logits)])
        frames = FilmFrames(
            logits,
            masks,
            placement=placement,
            classes=point.classes,
            margin=settings.margin,
        )
        shape = (settings.height, settings.width)
        coarse = frames.coarse(shape)
        joined = join_crops(frames.film(stretch(with_channels(film, 1)), shape), coarse)
        drawn = self.network(torch.from_numpy(joined)[None].to(self._device))
        return RefinedFilm(
            drawn=np.asarray(drawn[0].float().cpu()),
            coarse=coarse,
            frames=frames,
            size=(film.shape[1], film.shape[2]),
            first=point,
            settings=settings,
        )


@dataclass(frozen=True, slots=True, eq=False)
class RefinedFilm:
    """What a refiner drew of one film.

    Attributes:
        drawn: Logits in the frames, (bones, height, width).
        coarse: What the first network said there, 0 to 1.
        frames: Where they lie.
        size: Height and width of the film.
        first: The first network's operating point.
        settings: Of the refiner.
    """

    drawn: npt.NDArray[np.float32]
    coarse: Crops
    frames: FilmFrames
    size: tuple[int, int]
    first: SegmentationPoint
    settings: RefinerSettings

    def mask(self, bone: int) -> Mask | None:
        """Return a bone's mask on the film.

        Args:
            bone: Which one.

        Returns:
            bool, (height, width); None where the first network's mask stands: it has found none, or
            what the refiner drew has too little in common with it.
        """
        frame = self.frames.frames[bone]
        if frame is None or not self._believable(bone):
            return None
        part, logits = paste(self.drawn[bone], frame, self.size, outside=_NEVER)
        if not logits.size:
            return None
        mask: Mask = np.zeros(self.size, np.bool_)
        mask[part] = self.settings.point.decide(logits, bone)
        return mask

    def _believable(self, bone: int) -> bool:
        drawn = self.settings.point.decide(self.drawn[bone], bone)
        before = self.coarse[bone] >= self.first.thresholds[bone]
        either = int(np.count_nonzero(drawn | before))
        both = int(np.count_nonzero(drawn & before))
        return both > 0 and both >= self.settings.least_overlap * either
