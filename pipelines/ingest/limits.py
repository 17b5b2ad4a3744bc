"""How much one file may ask for; held against its header, before anything is decoded."""

from pipelines.errors import InputError, Reason

MAX_SAMPLES = 50_000_000
"""Samples (rows x columns x channels) of one frame: about twice the largest detector in use.

Decoding takes about 12 bytes a sample at its peak, so this keeps a process below 1 GB.
"""

MAX_FILE_BYTES = 1_000_000_000
"""Bytes of one file on disk."""


def check_samples(samples: int) -> None:
    """Refuse an image that its header declares too large.

    Args:
        samples: Rows x columns x channels of the frame to be decoded.

    Raises:
        InputError: TOO_LARGE if there are more than `MAX_SAMPLES`.
    """
    if samples > MAX_SAMPLES:
        raise InputError(
            Reason.TOO_LARGE,
            f"expected at most {MAX_SAMPLES} samples, got {samples} in the header; "
            "crop or downsample the image",
        )
