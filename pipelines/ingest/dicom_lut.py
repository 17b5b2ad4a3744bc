"""Look-up tables of a DICOM header: a descriptor and the entries (PS3.3 C.11.1.1, C.11.2.1.1)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.ingest.dicom_attributes import Attributes

FloatTable = npt.NDArray[np.float64]

_SIGN = 0x8000
_MAX_ENTRIES = 65_536


@dataclass(frozen=True, slots=True)
class LookupTable:
    """One look-up table.

    Attributes:
        entries: Output values, not negative.
        first: The input value of the first entry; smaller inputs get the first entry, larger ones
            the last.
        maximum: The largest value that the bits of an entry can hold.
    """

    entries: npt.NDArray[np.uint16]
    first: int
    maximum: int

    def apply(self, values: FloatTable) -> FloatTable:
        """Look up each value.

        Args:
            values: Input values of any shape; fractions are rounded.

        Returns:
            The entries, of the same shape, as float64.
        """
        at = np.clip(np.rint(values) - self.first, 0, len(self.entries) - 1).astype(np.int64)
        found: FloatTable = self.entries[at].astype(np.float64)
        return found


def read_table(attributes: Attributes, *, signed: bool, prefix: str = "LUT") -> LookupTable | None:
    """Read a table; None if it has fewer entries than it says, or none.

    Args:
        attributes: The item with descriptor and data.
        signed: Whether the input values may be negative; decides how `first` is read, since many
            files write a negative one as unsigned.
        prefix: Of the two keywords `…Descriptor` and `…Data`.

    Returns:
        The table, or None.
    """
    descriptor = attributes.integers(f"{prefix}Descriptor")
    data = attributes.data(f"{prefix}Data")
    if len(descriptor) != 3:  # noqa: PLR2004 (entries, first, bits)
        return None
    size, first, bits = descriptor
    size = size or _MAX_ENTRIES
    if not 1 <= bits <= 16:  # noqa: PLR2004 (bits of an entry)
        return None
    entries = _entries(data, size, attributes)
    if len(entries) < size:
        return None
    if signed and first >= _SIGN:
        first -= 2 * _SIGN
    return LookupTable(entries, first, 2**bits - 1)


def _entries(data: bytes, size: int, attributes: Attributes) -> npt.NDArray[np.uint16]:
    if len(data) < 2 * size:
        # Entries of 8 bits, two to a word.
        packed = np.frombuffer(data, np.uint8)
        if not attributes.encoding.little:
            packed = packed[: len(packed) // 2 * 2].reshape(-1, 2)[:, ::-1].ravel()
        return packed[:size].astype(np.uint16)
    order = "<u2" if attributes.encoding.little else ">u2"
    return np.frombuffer(data, order, count=size).astype(np.uint16)
