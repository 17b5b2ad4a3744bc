"""Read a film with the one reader, inside a chain of MONAI dictionary transforms."""

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform

from pipelines.errors import ConfigurationError, InputError, Reason
from pipelines.ingest.read import read_radiograph
from pipelines.ingest.reduction import LeastSize
from pipelines.radiograph import Pixels, Radiograph

# Rec. ITU-R BT.601 luma, the weights that DICOM uses for the Y of YBR_FULL (PS3.3 C.7.6.3.1.2).
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


REDUCED_BY = "reduced_by"
"""Where an item says by how much its film was reduced; absent where it was not."""


class LoadRadiographd(MapTransform):
    """Replace a path by the pixels of the film that it names.

    The result is a `MetaTensor`, float32, 0 to 1, (channel, height, width), rows first. Its meta
    holds `filename_or_obj` and, when known, `spacing_mm` (rows, columns); the affine has the
    spacing on its diagonal. The item also gets `original_size` (height, width) and `spacing_mm`
    (None when unknown) of the film, for the way back to it. Patient identity never enters it.

    A film that was read at a lower resolution leaves `reduced_by` in the item, for the resizing
    transform behind it; affine and `spacing_mm` of its meta are those of the pixels that it has.

    Args:
        keys: Keys whose values are paths, or radiographs that have been read already.
        channels: 1 turns colour to grey by luma (0.299 R + 0.587 G + 0.114 B), 3 repeats grey.
        frame_key: Where a frame index of a multi-frame file stands; without it frame 0 is read.
        least_size: Tells how much of a film is needed, as `read_radiograph` takes it: `target` of
            the resizing transform that comes next, of those that leave sizes to this module.
        allow_missing_keys: Pass over keys that an item lacks.
    """

    def __init__(
        self,
        keys: KeysCollection,
        *,
        channels: int = 1,
        frame_key: str = "frame",
        least_size: LeastSize | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if channels not in {1, 3}:
            raise ConfigurationError(
                Reason.CONFIGURATION, f"expected 1 or 3 channels, got {channels}"
            )
        self.channels = channels
        self.frame_key = frame_key
        self.least_size = least_size

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Read each key's file.

        Raises:
            InputError: If a file cannot be read; its `reason` says why.
        """
        item = dict(data)
        frame = int(item.get(self.frame_key, 0))
        for key in self.key_iterator(item):
            source = item[key]
            meta: dict[str, Any] = {}
            if isinstance(source, Radiograph):
                film = source
            else:
                film = read_radiograph(source, frame=frame, least_size=self.least_size)
                meta["filename_or_obj"] = str(source)
            item["original_size"] = film.size
            item["spacing_mm"] = film.spacing_mm
            if film.reduced_by > 1:
                item[REDUCED_BY] = film.reduced_by
            item[key] = self._tensor(film, meta)
        return item

    def _tensor(self, film: Radiograph, meta: dict[str, Any]) -> MetaTensor:
        rows, columns = (each * film.reduced_by for each in film.spacing_mm or (1.0, 1.0))
        if film.spacing_mm is not None:
            meta["spacing_mm"] = (rows, columns)
        affine = torch.diag(torch.tensor([rows, columns, 1.0], dtype=torch.float64))
        pixels = torch.from_numpy(with_channels(film.pixels, self.channels))
        return MetaTensor(pixels, affine=affine, meta=meta)


def with_channels(pixels: Pixels, channels: int) -> Pixels:
    """Turn colour to grey or repeat grey.

    Args:
        pixels: float32, (1 or 3, height, width).
        channels: 1 or 3.

    Returns:
        float32, (channels, height, width), contiguous.

    Raises:
        InputError: If `pixels` have neither one nor three channels.
    """
    if pixels.shape[0] == channels:
        return np.ascontiguousarray(pixels)
    if pixels.shape[0] == 3:  # noqa: PLR2004 - red, green, blue
        return np.tensordot(_LUMA, pixels, axes=1)[None].astype(np.float32)
    if pixels.shape[0] == 1:
        return np.ascontiguousarray(np.repeat(pixels, channels, axis=0))
    raise InputError(
        Reason.UNSUPPORTED_PHOTOMETRIC, f"expected 1 or 3 channels, got {pixels.shape[0]}"
    )
