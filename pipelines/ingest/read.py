"""The one way from a file to a `Radiograph`, whatever its format."""

from pathlib import Path

from pipelines.errors import InputError, Reason
from pipelines.ingest.dicom import DicomHeader, inspect_dicom, read_dicom, read_dicom_values
from pipelines.ingest.film_values import FilmValues, values_of
from pipelines.ingest.guard import guard_input
from pipelines.ingest.raster import read_raster
from pipelines.ingest.reduction import LeastSize, reduce_film
from pipelines.ingest.sniff import FileFormat, sniff
from pipelines.ingest.volume import read_volume
from pipelines.radiograph import Radiograph

_VOLUME_FORMATS = frozenset({FileFormat.NIFTI, FileFormat.METAIMAGE, FileFormat.NRRD})


def read_radiograph(
    path: Path | str, *, frame: int = 0, least_size: LeastSize | None = None
) -> Radiograph:
    """Read one film from a file of any format that `FileFormat` names.

    The format is told from the content. Pixels are float32, 0 to 1, (channel, height, width), rows
    first; 0 is black on a viewing station.

    Args:
        path: The file.
        frame: Index of the frame in a multi-frame DICOM file, from 0.
        least_size: Tells for the height and width of the film how many rows and columns of it are
            needed; a film that is large beside that is read at a lower resolution, see `reduction`.
            None reads all of it.

    Returns:
        The film, with what was applied to it and whose it is.

    Raises:
        InputError: If the file cannot be read as a film; its `reason` says why.
    """
    path = Path(path)
    file_format = sniff(path)
    with guard_input():
        if file_format is FileFormat.DICOM:
            return read_dicom(path, frame=frame, least_size=least_size)
        if frame != 0:
            raise InputError(
                Reason.NO_SUCH_FRAME,
                f"expected frame 0 of a {file_format} file, got {frame}; only DICOM has more",
            )
        if file_format in _VOLUME_FORMATS:
            return reduce_film(read_volume(path), least_size)
        return read_raster(path, least_size=least_size)


def read_film_values(path: Path | str, *, frame: int = 0) -> FilmValues | Radiograph:
    """Read one film as a viewer wants it: before its window.

    Args:
        path: As of `read_radiograph`.
        frame: As of `read_radiograph`.

    Returns:
        The values of a grey film; a film in colour, which has no window, as it is.

    Raises:
        InputError: As of `read_radiograph`.
    """
    path = Path(path)
    if sniff(path) is FileFormat.DICOM:
        with guard_input():
            values = read_dicom_values(path, frame=frame)
        if values is not None:
            return values
    film = read_radiograph(path, frame=frame)
    return film if len(film.pixels) > 1 else values_of(film)


def read_header(path: Path | str) -> DicomHeader | None:
    """Read what the header of a file says, without decoding its pixels.

    Args:
        path: The file; what is no film is refused as in `read_radiograph`.

    Returns:
        The header of a DICOM file: whose film it is, and more; None for formats that have none.
    """
    path = Path(path)
    if sniff(path) is not FileFormat.DICOM:
        return None
    with guard_input():
        return inspect_dicom(path)
