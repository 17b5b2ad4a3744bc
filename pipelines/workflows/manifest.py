"""A bundle's manifest: the SHA-256 of its configurations, weights and operating point.

It says that the files are those that its author shipped. It is verified before a bundle is used;
training and `check` of a configuration that somebody works on are not held up by it. Who may write
the files may also write the manifest: against a stranger its own SHA-256, which `check --untrusted`
prints, has to be compared with what the author says elsewhere.
"""

from collections.abc import Iterator
from pathlib import Path

from pipelines.errors import ConfigurationError, Reason
from pipelines.files import read_json_object, sha256, write_json
from pipelines.workflows.bundle import SUFFIXES, Bundle
from pipelines.workflows.problem import Problem

MANIFEST = "manifest.json"
RENEW = "plainfilm check --write-manifest"
"""The command that writes a bundle's manifest anew."""

_ALGORITHM = "SHA-256"
_DIGITS = 64
_LISTED = {
    "configs": (*SUFFIXES, ".conf"),
    "models": (".pt", ".safetensors", ".npz", ".json"),
}
"""Folders and suffixes of the files that a manifest lists: what decides, and nothing exported."""


def write_manifest(bundle: Bundle) -> Path:
    """Write the manifest of a bundle anew.

    Args:
        bundle: A bundle that its owner trusts as it is.

    Returns:
        The file.

    Raises:
        ConfigurationError: If a file that would be listed is a link.
    """
    names = sorted(listable(bundle.root))
    for name in names:
        if _is_linked(bundle.root, name):
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected the files of a bundle themselves, got a link at {name}; copy the file",
            )
    files = {name: sha256(bundle.root / name) for name in names}
    path = bundle.root / MANIFEST
    write_json(path, {"algorithm": _ALGORITHM, "files": files})
    return path


def verify_manifest(bundle: Bundle) -> None:
    """Refuse a bundle whose files are not what its manifest says; one without a manifest passes.

    Args:
        bundle: What is about to be used.

    Raises:
        ConfigurationError: MANIFEST_MISMATCH; the message names the file and how to renew.
    """
    if not (bundle.root / MANIFEST).exists():
        return
    problem = next(manifest_problems(bundle), None)
    if problem is not None:
        raise ConfigurationError(Reason.MANIFEST_MISMATCH, problem.within(bundle.name))


def manifest_problems(bundle: Bundle) -> Iterator[Problem]:
    """Find files that are not what the manifest says.

    Args:
        bundle: A bundle with a manifest.

    Yields:
        A problem for each file that is missing, changed or a link, and for a manifest that is none.
    """
    listed = read_manifest(bundle)
    if listed is None:
        yield Problem(
            MANIFEST,
            "",
            f"expected files with their {_ALGORITHM}, found another content; "
            f"its owner renews it with `{RENEW} {bundle.name}`",
        )
        return
    for name, digest in listed.items():
        said = _difference(bundle.root, name, digest)
        if said:
            yield Problem(
                name,
                "",
                f"expected the file that {MANIFEST} lists, found {said}; fetch the bundle again or,"
                f" if you changed it yourself, run `{RENEW} {bundle.name}`",
            )


def read_manifest(bundle: Bundle) -> dict[str, str] | None:
    """Return the digests by file that a manifest lists; None if it is no manifest."""
    content = read_json_object(bundle.root / MANIFEST)
    files = content.get("files")
    if content.get("algorithm") != _ALGORITHM or not isinstance(files, dict) or not files:
        return None
    return files if all(map(_is_listing, files, files.values())) else None


def listable(root: Path) -> Iterator[str]:
    """Yield the files of a bundle that a manifest lists, relative to its root and with `/`."""
    for folder, suffixes in _LISTED.items():
        for path in (root / folder).rglob("*"):
            hidden = path.name.startswith(".")
            if path.suffix.lower() in suffixes and not hidden and not path.is_dir():
                yield path.relative_to(root).as_posix()


def _is_listing(name: object, digest: object) -> bool:
    """Whether this may stand in a manifest: a file below the root, and a digest."""
    if not isinstance(name, str) or not isinstance(digest, str):
        return False
    parts = name.split("/")
    below = parts[0] in _LISTED and not {"", ".", ".."} & {*parts} and "\\" not in name
    return below and len(digest) == _DIGITS


def _difference(root: Path, name: str, digest: str) -> str | None:
    path = root / name
    if _is_linked(root, name):
        return "a link"
    if not path.is_file():
        return "none"
    try:
        return None if sha256(path) == digest else "another content"
    except OSError:
        return "one that cannot be read"


def _is_linked(root: Path, name: str) -> bool:
    path = root / name
    return path.resolve() != root.resolve() / name
