"""Why an input was refused: one enumeration of reasons, one family of exceptions.

Every reason has an outcome. `skipped` means that the file is not for us (a report, a text file, a
second copy) and nothing is wrong; `failed` means that it should have worked and did not.
"""

from enum import StrEnum


class Outcome(StrEnum):
    """What became of an input that got no prediction."""

    SKIPPED = "skipped"
    FAILED = "failed"


class Reason(StrEnum):
    """Machine-readable reason why an input was refused; the value is what tables hold."""

    # Skipped: not for us.
    NOT_AN_IMAGE = "not_an_image"
    EMPTY_FILE = "empty_file"
    NOT_A_RADIOGRAPH = "not_a_radiograph"
    NOT_DICOM = "not_dicom"
    DICOMDIR = "dicomdir"
    DUPLICATE = "duplicate"
    LINK_OUTSIDE_ROOT = "link_outside_root"
    NOTHING_FOUND = "nothing_found"

    # Failed: the file itself.
    FILE_UNREADABLE = "file_unreadable"
    MISSING = "missing"
    FETCH_FAILED = "fetch_failed"
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"
    NO_PIXEL_DATA = "no_pixel_data"
    MISSING_ATTRIBUTE = "missing_attribute"
    INVALID_ATTRIBUTE = "invalid_attribute"
    PIXEL_LENGTH_MISMATCH = "pixel_length_mismatch"
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    WORKER_DIED = "worker_died"
    UNSUPPORTED_TRANSFER_SYNTAX = "unsupported_transfer_syntax"
    UNSUPPORTED_PHOTOMETRIC = "unsupported_photometric_interpretation"
    UNSUPPORTED_FORMAT = "unsupported_format"
    DECODER_MISSING = "decoder_missing"
    DECODE_FAILED = "decode_failed"
    VOLUME = "volume"
    NO_SUCH_FRAME = "no_such_frame"
    NO_DICOM_SOURCE = "no_dicom_source"

    # Failed: data sets and configuration.
    DATASET_LAYOUT = "dataset_layout"
    DATA_LEAK = "data_leak"
    CONFIGURATION = "configuration"
    UNKNOWN_NAME = "unknown_name"
    WEIGHTS_MISSING = "weights_missing"
    WEIGHTS_MISMATCH = "weights_mismatch"
    MANIFEST_MISMATCH = "manifest_mismatch"
    OUTPUT_UNWRITABLE = "output_unwritable"
    OUTPUT_IN_USE = "output_in_use"
    PARTS_MISMATCH = "parts_mismatch"
    OUT_OF_MEMORY = "out_of_memory"
    NOT_FINITE = "not_finite"
    PROCESS_LOST = "process_lost"
    INTERNAL = "internal"

    # The node: what it does not take, and what it cannot hand on.
    NO_RULE = "no_rule"
    PEER_NOT_ALLOWED = "peer_not_allowed"
    INVALID_UID = "invalid_uid"
    UID_CONFLICT = "uid_conflict"
    QUEUE_FULL = "queue_full"
    DISK_FULL = "disk_full"
    DESTINATION_AWAY = "destination_away"
    DESTINATION_REFUSED = "destination_refused"

    @property
    def outcome(self) -> Outcome:
        """Whether an input refused for this reason counts as skipped or as failed."""
        return Outcome.SKIPPED if self in _SKIPS else Outcome.FAILED


_SKIPS = frozenset(
    {
        Reason.NOT_AN_IMAGE,
        Reason.EMPTY_FILE,
        Reason.NOT_A_RADIOGRAPH,
        Reason.NOT_DICOM,
        Reason.DICOMDIR,
        Reason.DUPLICATE,
        Reason.LINK_OUTSIDE_ROOT,
        Reason.NO_RULE,
        Reason.NOTHING_FOUND,
    }
)


class PlainfilmError(Exception):
    """Base of all refusals.

    The message says the rule that was broken, the value that broke it and what to do. It never
    holds a value of an identifying DICOM attribute, nor a path: the caller knows the path.

    Attributes:
        reason: The reason code.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[type["PlainfilmError"], tuple[Reason, str]]:
        """Let an error cross to another process with its reason."""
        return type(self), (self.reason, str(self))


class InputError(PlainfilmError):
    """One input file cannot be read; the rest of the batch goes on."""


class DatasetError(PlainfilmError):
    """A folder or a datalist does not have the layout that was asked for."""


class ConfigurationError(PlainfilmError, ValueError):
    """Wrong use: a name, a key, an argument or a path that cannot be right (exit status 2).

    A ValueError too: to who uses the package as a library, an argument is out of its range.
    """


class RunError(PlainfilmError):
    """A run cannot go on: weights do not fit, output cannot be written, loss is not finite."""


def refusal_behind(error: BaseException | None) -> PlainfilmError | None:
    """Return the refusal of ours behind an error that MONAI wrapped in others, or None."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        if isinstance(error, PlainfilmError):
            return error
        seen.append(error)
        error = error.__cause__ or error.__context__
    return None


def refusal_of(error: BaseException) -> PlainfilmError:
    """Turn whatever a film raised into a refusal.

    An unexpected exception becomes INTERNAL with the name of its root's class alone, since its
    message may quote the header.
    """
    known = refusal_behind(error)
    if known is not None:
        return known
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, MemoryError):
        return InputError(
            Reason.OUT_OF_MEMORY,
            "expected room in memory for this film, got none; make room, or read fewer at a time "
            "(reader.threads in prediction), then give the same command again",
        )
    return InputError(
        Reason.INTERNAL,
        f"expected a film that can be read and prepared, got {type(error).__name__}; "
        "please report what made this file",
    )
