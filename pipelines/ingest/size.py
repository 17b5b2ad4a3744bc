"""How large a film is, told without decoding it where its format allows."""

from pathlib import Path

from pipelines.ingest.guard import guard_input
from pipelines.ingest.raster import read_raster_size
from pipelines.ingest.read import read_radiograph
from pipelines.ingest.sniff import FileFormat, sniff

_RASTER = frozenset(
    {FileFormat.PNG, FileFormat.JPEG, FileFormat.BMP, FileFormat.TIFF, FileFormat.GIF}
)


def read_size(path: Path) -> tuple[int, int]:
    """Return the height and width of a film as `read_radiograph` gives it.

    Args:
        path: The file.

    Returns:
        Height and width in pixels.

    Raises:
        InputError: If the file cannot be read as a film.
    """
    with guard_input():
        if sniff(path) in _RASTER:
            return read_raster_size(path)
        height, width = read_radiograph(path).pixels.shape[1:]
        return height, width
