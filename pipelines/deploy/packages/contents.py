"""What an exported file carries beside its network: texts by name, and files of the bundle as text.

Every format keeps texts in a place of its own. Files stand among them in base64, under `files/`
and their path inside a bundle.
"""

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from pipelines.errors import ConfigurationError, Reason
from pipelines.workflows.components import TARGET
from pipelines.workflows.merging import walk

FILES = "files/"
"""What stands in front of the name of a carried file."""

MOST_BYTES = 200_000_000
"""Most that all texts of a file may hold together; those of ours hold below ten million."""

BESIDE_WEIGHTS = ("guard.npz", "trained_on.npz", "profile.npz", "refiner.json", "refiner.pt")
"""What prediction looks for in the folder of the weights, beside the operating point."""

_SUFFIXES = (".json", ".npz", ".pt", ".safetensors")
_FILE_OF_BUNDLE = "pipelines.workflows.bundle.bundle_file"


class DamagedFileError(ConfigurationError):
    """An exported file that cannot be read; its reason is CORRUPT.

    Args:
        what: What was expected.
        found: What speaks against it, in a word or two.
    """

    def __init__(self, what: str, found: str = "") -> None:
        said = f" ({found})" if found else ""
        super().__init__(
            Reason.CORRUPT,
            f"expected {what}, got a file that does not read as one{said}; export the bundle anew",
        )

    def __reduce__(self) -> tuple[type[ConfigurationError], tuple[Reason, str]]:
        """Let it cross to another process as what it is a kind of."""
        return ConfigurationError, (self.reason, str(self))


def carried_files(
    root: Path, weights: Path, configuration: Mapping[str, object]
) -> dict[str, Path]:
    """Find the files that prediction with these weights reads, by their path inside a bundle.

    Args:
        root: Folder of the bundle.
        weights: The weights; the network carries them, so they are not among the files.
        configuration: The merged `inference.json`.
    """
    found = {f"models/{name}": weights.parent / name for name in BESIDE_WEIGHTS}
    for _, value in walk(configuration):
        if isinstance(value, Mapping) and value.get(TARGET) == _FILE_OF_BUNDLE:
            name = str(value.get("name"))
            found.setdefault(name, root / name)
    return {
        name: path
        for name, path in found.items()
        if path.is_file() and path.resolve() not in {weights.resolve(), root / "models/model.pt"}
    }


def as_text(path: Path) -> str:
    """Return a file's content in base64."""
    return base64.b64encode(path.read_bytes()).decode("ascii")


def files_in(texts: Mapping[str, str]) -> dict[str, bytes]:
    """Return the content of the carried files by their path inside a bundle.

    Args:
        texts: As a file of unknown origin has them.

    Raises:
        ConfigurationError: If a path is none below `models/`, or the content is no base64.
    """
    found = {}
    for key, text in texts.items():
        if not key.startswith(FILES):
            continue
        name = key.removeprefix(FILES)
        if not _is_below_models(name):
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected carried files below models/, got one named {name[:80]!r}; "
                "export the bundle anew",
            )
        try:
            found[name] = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise ConfigurationError(
                Reason.CORRUPT,
                f"expected {name} in base64, got another content; export the bundle anew",
            ) from error
    return found


def require_size(total: int) -> None:
    """Refuse texts that are larger together than any that `export` writes.

    Raises:
        ConfigurationError: TOO_LARGE.
    """
    if total > MOST_BYTES:
        raise ConfigurationError(
            Reason.TOO_LARGE,
            f"expected a description of at most {MOST_BYTES} bytes, got {total}; "
            "this is no file that `plainfilm export` wrote",
        )


def _is_below_models(name: str) -> bool:
    path = PurePosixPath(name)
    plain = not path.is_absolute() and ".." not in path.parts and "\\" not in name
    hidden = any(part.startswith(".") for part in path.parts)
    named = str(path) == name and ":" not in name and "\0" not in name
    return plain and named and not hidden and path.parts[0] == "models" and path.suffix in _SUFFIXES
