"""Where bundles are: found by name or path, listed with what their metadata says."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import ConfigurationError, Reason
from pipelines.files import read_json_object
from pipelines.nearest import right_names

CHECKOUT = Path(__file__).resolve().parents[2]
"""The folder that holds the package and, in a checkout, `bundles/` beside it."""

SUFFIXES = (".json", ".yaml", ".yml")
NOT_OVERLAYS = frozenset({"train", "inference", "metadata"})


@dataclass(frozen=True, slots=True)
class Bundle:
    """A folder in the MONAI bundle format.

    Attributes:
        name: Name of the folder.
        root: The folder itself, absolute.
    """

    name: str
    root: Path

    @property
    def configs(self) -> Path:
        """The folder of configurations."""
        return self.root / "configs"

    @property
    def train(self) -> Path:
        """The training configuration."""
        return self._config("train")

    @property
    def inference(self) -> Path:
        """The inference configuration."""
        return self._config("inference")

    @property
    def metadata(self) -> Path:
        """The metadata that the bundle format asks for."""
        return self.configs / "metadata.json"

    @property
    def logging(self) -> Path:
        """The logging configuration."""
        return self.configs / "logging.conf"

    @property
    def weights(self) -> Path:
        """The shipped weights; the file may be absent."""
        return self.root / "models" / "model.pt"

    @property
    def operating_point(self) -> Path:
        """Threshold, temperature and class names that go with the weights; may be absent."""
        return self.root / "models" / "operating_point.json"

    def _config(self, stem: str) -> Path:
        written = (self.configs / f"{stem}{suffix}" for suffix in SUFFIXES)
        return next((path for path in written if path.is_file()), self.configs / f"{stem}.json")

    def overlays(self) -> list[Path]:
        """Return the configurations that are merged after the one for training, by name."""
        return sorted(
            path
            for path in self.configs.glob("*")
            if path.suffix in SUFFIXES and path.stem not in NOT_OVERLAYS
        )

    def overlay(self, name: str) -> Path:
        """Find an overlay by name, with or without suffix, or by the path of a file.

        Raises:
            ConfigurationError: If there is none; the message names the nearest right one.
        """
        known = {path.stem: path for path in self.overlays()}
        path = Path(name)
        if path.name == name and path.stem in known:
            return known[path.stem]
        if path.is_file():
            return path.resolve()
        raise ConfigurationError(
            Reason.UNKNOWN_NAME,
            f"no overlay named '{path.name}' in {self.name}{right_names(path.stem, known)}",
        )


@dataclass(frozen=True, slots=True)
class BundleSummary:
    """What a user wants to know before choosing a bundle.

    Attributes:
        name: Name of the bundle.
        version: Its version.
        task: What it predicts, in words.
        classes: Names of the classes that it tells apart.
        weights_bytes: Size of the shipped weights; None when there are none.
        figures: Measured figures by name, as the metadata has them.
    """

    name: str
    version: str
    task: str
    classes: tuple[str, ...]
    weights_bytes: int | None
    figures: dict[str, object]


def known_bundles() -> dict[str, Path]:
    """Return the folders of all bundles by name: those of `./bundles`, then of the checkout."""
    found: dict[str, Path] = {}
    for parent in (Path.cwd() / "bundles", CHECKOUT / "bundles"):
        for configs in sorted(parent.glob("*/configs")):
            found.setdefault(configs.parent.name, configs.parent.resolve())
    return found


def find_bundle(name_or_path: str) -> Bundle:
    """Find a bundle by its name under `bundles/` or by its path.

    Args:
        name_or_path: A name is looked for in `./bundles`, then in the checkout that holds this
            package; what is no known name is taken as the path of a folder that holds `configs/`.

    Raises:
        ConfigurationError: If there is none; the message names the nearest right name.
    """
    known = known_bundles()
    if name_or_path in known:
        return Bundle(name_or_path, known[name_or_path])
    path = Path(name_or_path)
    if (path / "configs").is_dir():
        root = path.resolve()
        return Bundle(root.name, root)
    if path.is_dir():
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected the folder of a bundle, got '{path.resolve().name}', which has no folder"
            f" configs/; known bundles: {', '.join(known) or 'none'}",
        )
    raise ConfigurationError(
        Reason.UNKNOWN_NAME, f"no bundle named '{path.name}'{right_names(path.name, known)}"
    )


def bundle_root(name: str) -> str:
    """Return the folder of the bundle called `name`, for `bundle_root` in its own configuration.

    With it `python -m monai.bundle run` works from the repository root and from inside the
    bundle's folder. The working folder comes first, so a copy that is run from inside uses its own
    weights; a copy that is run from elsewhere needs `--bundle_root`.

    Args:
        name: Name of the bundle's folder.

    Returns:
        An absolute path.
    """
    here = Path.cwd()
    metadata = here / "configs" / "metadata.json"
    if metadata.is_file() and name in {here.name, read_json_object(metadata).get("name")}:
        return str(here)
    return str(find_bundle(name).root)


def bundle_file(bundle_root: str, name: str) -> str:
    """Return the path of a file inside a bundle, for `weights` in an `inference.json`.

    Args:
        bundle_root: Folder of the bundle.
        name: Path below it, such as `models/model.pt`; the file may be absent.

    Returns:
        An absolute path.

    Raises:
        ConfigurationError: If the name leads out of the bundle.
    """
    root = Path(bundle_root).resolve()
    path = root / name
    if not path.resolve().is_relative_to(root):
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected the name of a file inside the bundle, got {name!r}, which leads out of it",
        )
    return str(path)


def list_bundles() -> list[BundleSummary]:
    """Summarise every known bundle, by name, from its metadata and without importing torch."""
    return [_summary(Bundle(name, root)) for name, root in sorted(known_bundles().items())]


def _summary(bundle: Bundle) -> BundleSummary:
    metadata = read_json_object(bundle.metadata)
    figures = metadata.get("eval_metrics")
    return BundleSummary(
        name=bundle.name,
        version=str(metadata.get("version", "")),
        task=str(metadata.get("task", "")),
        classes=class_names(bundle.operating_point, metadata),
        weights_bytes=bundle.weights.stat().st_size if bundle.weights.is_file() else None,
        figures=figures if isinstance(figures, dict) else {},
    )


def class_names(operating_point: Path, metadata: Mapping[str, object]) -> tuple[str, ...]:
    """Return the names of classes in order.

    Args:
        operating_point: The file beside the weights, whose names count.
        metadata: Of the bundle; without such a file its output channels are named.
    """
    shipped = read_json_object(operating_point).get("classes")
    if isinstance(shipped, list):
        return tuple(str(each) for each in shipped)
    channels: object = metadata
    for key in ("network_data_format", "outputs", "pred", "channel_def"):
        channels = channels.get(key) if isinstance(channels, Mapping) else None
    return tuple(map(str, channels.values())) if isinstance(channels, Mapping) else ()
