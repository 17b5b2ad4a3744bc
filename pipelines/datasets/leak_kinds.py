"""What can be wrong with a data set before anything is trained, by name."""

from enum import StrEnum


class LeakKind(StrEnum):
    """Kinds of what the leak check finds; the value is what tables hold."""

    BYTE_COPY = "byte_copy"
    """Two files with the same bytes."""
    NEAR_COPY = "near_copy"
    """Two files that show one film: turned, mirrored, resized, compressed anew or cropped."""
    SAME_GROUP = "same_group"
    """Films of one patient, lesion or group on two sides of a split."""
    TWO_LABELS = "two_labels"
    """One film under two labels."""
    WRONG_SUFFIX = "wrong_suffix"
    """A file whose content is not what its suffix says."""
    EMPTY_CLASS = "empty_class"
    """A class without images, in the whole data set or in one split."""
