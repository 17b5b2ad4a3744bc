"""The rules that numbers of an inference configuration keep, said by the key that breaks one."""

from pipelines.errors import ConfigurationError, Reason


def whole_number(key: str, value: object) -> int:
    """Return `value` if it is a whole number above 0.

    Args:
        key: Its key on the command line, such as `engine.batch_size`.
        value: What was given.

    Raises:
        ConfigurationError: If it is anything else.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise ConfigurationError(Reason.CONFIGURATION, _broken("a whole number above 0", key, value))


def positive(key: str, value: object) -> float:
    """Return `value` if it is a number above 0.

    Args:
        key: Its key on the command line, such as `reader.seconds_per_film`.
        value: What was given.

    Raises:
        ConfigurationError: If it is anything else.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
        return value
    raise ConfigurationError(Reason.CONFIGURATION, _broken("a number above 0", key, value))


def _broken(rule: str, key: str, value: object) -> str:
    return f"expected {key} to be {rule}, got {value!r}; give one with --set {key}=NUMBER"
