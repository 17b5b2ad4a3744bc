"""Masks of many structures that may overlap, as one plane of bits, inside a chain of transforms.

29 masks of a film would be warped 29 times and fill the memory; as bits of one int32 plane they are
warped once and kept in 4 bytes a pixel. They are unpacked last.
"""

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform

from pipelines.errors import ConfigurationError, InputError, Reason
from pipelines.ingest.annotations import read_annotation
from pipelines.ingest.masks import Levels, read_mask
from pipelines.transforms.polygons import MOST_LAYERS, Layers, fill_polygons
from pipelines.transforms.sides import split_sides

_GREY = 128
_MASK_SUFFIXES = (".png", ".bmp", ".tif", ".tiff", ".gif", ".nii", ".nii.gz")
_NAMED = 4


def pack_layers(masks: npt.NDArray[Any]) -> Layers:
    """Pack masks into bits.

    Args:
        masks: (channel, height, width), at most 31 channels; not 0 belongs to the channel.

    Returns:
        (1, height, width).

    Raises:
        ConfigurationError: If there are more than 31 channels.
    """
    check_channels(len(masks))
    layers = np.zeros(masks.shape[1:], dtype=np.int32)
    for channel, mask in enumerate(masks):
        layers |= (mask != 0).astype(np.int32) << channel
    return layers[None]


def unpack_layers(layers: Layers, channels: int) -> npt.NDArray[np.uint8]:
    """Unpack bits into masks.

    Args:
        layers: (1, height, width).
        channels: Number of channels.

    Returns:
        uint8, 0 or 1, (channel, height, width).
    """
    masks = np.empty((channels, *layers.shape[1:]), dtype=np.uint8)
    for channel, mask in enumerate(masks):
        np.not_equal(layers[0] & (1 << channel), 0, out=mask.view(np.bool_))
    return masks


def check_channels(channels: int) -> None:
    """Refuse more channels than layers have.

    Raises:
        ConfigurationError: If `channels` is not 1 to 31.
    """
    if not 1 <= channels <= MOST_LAYERS:
        raise ConfigurationError(
            Reason.CONFIGURATION, f"expected 1 to {MOST_LAYERS} classes, got {channels}"
        )


def load_layers(
    source: Path, *, classes: Sequence[str], size: tuple[int, int], sides: bool = False
) -> Layers:
    """Read the masks of a film in any form.

    Args:
        source: A JSON file of polygons; a folder with one grey mask a class, named as the class;
            NIfTI with one channel a class; one label map (0 is nothing, n the n-th class); or,
            where there is one class, one grey mask. Grey masks are decided at 128 where they have
            values above 1.
        classes: Names in the order of the layers, at most 31.
        size: Height and width of the film.
        sides: One grey mask shows two organs, which are told apart by their side (see
            `split_sides`); there are two classes, the first one on the left of the film.

    Returns:
        The layers, of the size of the film.

    Raises:
        InputError: If the masks cannot be read, have another size, or have no pixel of a class.
    """
    if source.is_dir():
        masks = np.concatenate(
            [_grey(_load_one(_find_mask(source, name), size)) for name in classes]
        )
        layers = pack_layers(masks)
    elif source.suffix.lower() == ".json":
        polygons = read_annotation(source, classes=classes, size=size)
        layers = fill_polygons(polygons, classes=classes, size=size)
    else:
        levels = _load(source, size)
        layers = pack_layers(split_sides(_grey(levels)[0])) if sides else _pack(levels, classes)
    present = int(np.bitwise_or.reduce(layers, axis=None))
    empty = [name for channel, name in enumerate(classes) if not present & 1 << channel]
    if empty:
        more = f" and {len(empty) - _NAMED} more" if len(empty) > _NAMED else ""
        raise InputError(
            Reason.CORRUPT,
            f"expected a mask with pixels of every class, got none of "
            f"{', '.join(empty[:_NAMED])}{more}; draw them, or leave the film out",
        )
    return layers


def _find_mask(folder: Path, name: str) -> Path:
    """The mask of a class in a folder of masks.

    Raises:
        InputError: If there is none.
    """
    for suffix in _MASK_SUFFIXES:
        if (folder / f"{name}{suffix}").is_file():
            return folder / f"{name}{suffix}"
    raise InputError(
        Reason.FILE_UNREADABLE,
        f"expected a mask named {name}.png in the folder of the film, got none; add it",
    )


def _load(path: Path, size: tuple[int, int]) -> Levels:
    """Read a mask that must have the size of its film.

    Raises:
        InputError: If it has another one.
    """
    levels = read_mask(path)
    if levels.shape[1:] != size:
        raise InputError(
            Reason.CORRUPT,
            f"expected a mask of the size of its film, {size[0]} x {size[1]}, got "
            f"{levels.shape[1]} x {levels.shape[2]}; export it again",
        )
    return levels


def _load_one(path: Path, size: tuple[int, int]) -> Levels:
    """Read a mask of one channel.

    Raises:
        InputError: If it has several.
    """
    levels = _load(path, size)
    if len(levels) != 1:
        raise InputError(
            Reason.CORRUPT, f"expected one channel, got {len(levels)}; save one mask a class"
        )
    return levels


def _grey(levels: Levels) -> npt.NDArray[np.bool_]:
    """Decide a mask: smoothed ones have values between, others 0 and 1 alone."""
    decided: npt.NDArray[np.bool_] = levels >= (_GREY if levels.max() > 1 else 1)
    return decided


def _pack(levels: Levels, classes: Sequence[str]) -> Layers:
    """Pack channels, or a label map.

    Raises:
        InputError: If there are more labels or another number of channels than classes.
    """
    if len(levels) == len(classes):
        return pack_layers(_grey(levels))
    if len(levels) > 1:
        raise InputError(
            Reason.CORRUPT,
            f"expected as many channels as classes, {len(classes)}, got {len(levels)}",
        )
    if levels.min() < 0 or levels.max() > len(classes):
        raise InputError(
            Reason.CORRUPT,
            f"expected labels from 0 to {len(classes)}, one a class, got {levels.min()} to "
            f"{levels.max()}; number them in the order of the classes",
        )
    bits = np.concatenate([[0], 1 << np.arange(len(classes))]).astype(np.int32)
    layers: Layers = bits[levels]
    return layers


class LoadLayersd(MapTransform):
    """Replace the place of a film's masks by their layers, of the size of the film.

    Args:
        keys: Keys whose values are what `load_layers` takes; None is passed over.
        classes: Names in the order of the layers, at most 31.
        image_key: Key of the film, read before; its size is the size that masks must have.
        sides: One grey mask shows two organs, told apart by their side, see `load_layers`.
        allow_missing_keys: Pass over keys that an item lacks.
    """

    def __init__(
        self,
        keys: KeysCollection,
        *,
        classes: Sequence[str],
        image_key: str = "image",
        sides: bool = False,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        check_channels(len(classes))
        if sides and len(classes) != 2:  # noqa: PLR2004 - left and right
            raise ConfigurationError(
                Reason.CONFIGURATION, f"expected two classes for two sides, got {len(classes)}"
            )
        self.classes = tuple(classes)
        self.sides = sides
        self.image_key = image_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Read each key's masks."""
        item = dict(data)
        height, width = item[self.image_key].shape[1:]
        for key in self.key_iterator(item):
            if item[key] is not None:
                layers = load_layers(
                    Path(item[key]), classes=self.classes, size=(height, width), sides=self.sides
                )
                item[key] = torch.from_numpy(layers)
        return item


class UnpackLayersd(MapTransform):
    """Unpack layers into uint8 masks, 0 or 1, (channel, height, width).

    Attributes:
        makes_larger: What stands before it is worth keeping, what it makes is not.

    Args:
        keys: Keys of layers; None is passed over.
        channels: Number of channels.
        allow_missing_keys: Pass over keys that an item lacks.
    """

    makes_larger = True

    def __init__(
        self, keys: KeysCollection, *, channels: int, allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        check_channels(channels)
        self.channels = channels

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Unpack each key's layers."""
        item = dict(data)
        for key in self.key_iterator(item):
            if item[key] is not None:
                layers = np.asarray(item[key])
                item[key] = torch.from_numpy(unpack_layers(layers, self.channels))
        return item
