"""Small pictures of the first predicted films, kept while a batch runs."""

import torch

from pipelines.radiograph import Pixels
from pipelines.reports.thumbnails import stretched


class Thumbnails:
    """The pictures of the first few films, whatever order they are predicted in.

    What is kept is what the network saw, stretched to the full range of grey, so that a film which
    was read or squeezed wrongly shows.

    Args:
        count: How many to keep.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._kept: dict[int, Pixels] = {}

    def offer(self, position: int, prepared: torch.Tensor) -> None:
        """Keep a film if it is among the first ones.

        Args:
            position: Place of the film in the folder.
            prepared: The film as the network sees it, (channel, height, width).
        """
        if len(self._kept) < self._count or position < max(self._kept):
            self._kept[position] = stretched(prepared)
            if len(self._kept) > self._count:
                del self._kept[max(self._kept)]

    def find(self, position: int) -> Pixels | None:
        """Return the picture of a film, or None if it was not kept."""
        return self._kept.get(position)
