"""Cut the middle out of a film.

MONAI's `CenterSpatialCropd` does the same; its module brings scikit-image and a part of SciPy with
it, which takes nearly half as long to import as PyTorch.
"""

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform


class CropMiddled(MapTransform):
    """Keep the square in the middle; a side that is shorter stays whole.

    Args:
        keys: Keys of images, (channel, height, width).
        size: Length of each side in pixels.
        allow_missing_keys: Pass over keys that an item lacks.
    """

    def __init__(
        self, keys: KeysCollection, *, size: int, allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.size = size

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Crop each key's image."""
        item = dict(data)
        for key in self.key_iterator(item):
            item[key] = self._crop(item[key])
        return item

    def _crop(self, image: Any) -> Any:
        top, left = (max(0, side // 2 - self.size // 2) for side in image.shape[1:])
        cropped = image[:, top : top + self.size, left : left + self.size]
        if isinstance(cropped, MetaTensor):
            place = torch.zeros(cropped.affine.shape[-1], dtype=cropped.affine.dtype)
            place[0], place[1], place[-1] = top, left, 1
            affine = cropped.affine.clone()
            affine[:, -1] = affine @ place
            cropped.affine = affine
        return cropped
