"""Why a job failed: what SageMaker shows of it, without the names of films."""

import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from pipelines.deploy.sagemaker.contract import base_folder, failure_file, read_contract
from pipelines.errors import ConfigurationError
from pipelines.files import write_text
from pipelines.refusal_text import refusal_text, root_cause

LONGEST = 1024
"""Characters that SageMaker shows."""

_SHORTEST_NAME = 3
_HIDDEN = "[name]"


def write_failure(error: Exception, environment: Mapping[str, str]) -> None:
    """Write the reason of a failure to where SageMaker looks for it.

    It is shown far from the films, in consoles and events. Names of files and of folders below the
    class folders, which may be those of patients, are left out.

    Args:
        error: What ended the run.
        environment: Variables of the process.
    """
    text = without_names(refusal_text(root_cause(error)), _names(environment))
    with suppress(OSError):  # a disk that is full: the status and the log still tell
        write_text(failure_file(base_folder(environment)), text[:LONGEST])


def without_names(text: str, names: Iterable[str]) -> str:
    """Leave names out of a text.

    Args:
        text: What is told.
        names: What must not be told; those of one or two characters tell nobody.

    Examples:
        >>> without_names("IM-0001.png: the file is empty", ["IM-0001.png"])
        '[name]: the file is empty'
    """
    for name in sorted({*names}, key=len, reverse=True):
        if len(name) >= _SHORTEST_NAME and name in text:
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", _HIDDEN, text)
    return text


def _names(environment: Mapping[str, str]) -> set[str]:
    """Names of files below the channels, and of folders below their class folders."""
    try:
        channels = read_contract(environment).channels
    except ConfigurationError:
        return set()
    found: set[str] = set()
    for channel in channels.values():
        for parent, folders, files in os.walk(channel):
            deep = Path(parent) != channel
            found |= {each for name in files for each in (name, Path(name).stem)}
            found |= {*folders} if deep else set()
    return found
