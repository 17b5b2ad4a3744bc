"""How many images a generated set may have."""

from pipelines.errors import ConfigurationError, Reason


def check_count(count: int, *, least: int, most: int, images: str = "films") -> None:
    """Refuse a number of images that a set cannot be made of.

    Args:
        count: What was asked for.
        least: Smallest number.
        most: Largest number.
        images: What they are.

    Raises:
        ConfigurationError: If `count` is out of its range.
    """
    if not least <= count <= most:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected {least} to {most} {images}, got {count}; give another --count",
        )
