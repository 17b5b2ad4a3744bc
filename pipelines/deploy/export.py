"""A bundle's network with its weights in one file: to run without this package, or by `predict`."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import torch
from torch import nn

from pipelines.deploy.description import describe
from pipelines.deploy.export_films import (
    Films,
    FoundFilm,
    draw,
    find_films,
    read_films,
    require_apart,
)
from pipelines.deploy.export_source import Source
from pipelines.deploy.export_table import Judge, Row, Runner, write_table
from pipelines.deploy.packages.opened import find_model
from pipelines.deploy.packages.written import openvino_file, openvino_model, save_onnx
from pipelines.deploy.quantisation import FEWEST_FILMS, quantise
from pipelines.deploy.torchscript import load_torchscript, save_torchscript
from pipelines.errors import ConfigurationError, PlainfilmError, Reason, RunError
from pipelines.files import whole_file
from pipelines.nearest import right_names
from pipelines.networks.runtimes.onnx_runtime import OnnxRuntime
from pipelines.networks.runtimes.openvino_runtime import OpenVinoRuntime
from pipelines.networks.runtimes.runtime import RuntimeNetwork
from pipelines.workflows.bundle import Bundle

TOLERANCE = 1e-4
"""Largest difference between exported and original network, as a share of the largest output."""

AUROC_TOLERANCE = 0.002
"""Most that quantisation may take from the AUROC."""

CALIBRATION_FILMS = 300

_BATCHES = (1, 2)  # two, so that a network which was frozen to one size of batch is noticed
_NOISE_FILMS = 8
_MOST_JUDGES = 1000

_log = logging.getLogger(__name__)


class ExportFormat(StrEnum):
    """What a network can be exported as."""

    TORCHSCRIPT = "torchscript"
    ONNX = "onnx"
    OPENVINO = "openvino"


_SUFFIXES = {
    ExportFormat.TORCHSCRIPT: ".ts",
    ExportFormat.ONNX: ".onnx",
    ExportFormat.OPENVINO: ".xml",
}


@dataclass(frozen=True, slots=True)
class Int8:
    """How a network is quantised.

    Attributes:
        calibration: Folder of films to take ranges from.
        films: How many of them, at most.
    """

    calibration: Path
    films: int = CALIBRATION_FILMS


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes:
        path: The file.
        table: PyTorch first, then what was exported.
    """

    path: Path
    table: tuple[Row, ...]


def export_bundle(
    bundle: Bundle,
    *,
    export_format: str = ExportFormat.TORCHSCRIPT,
    output: Path | None = None,
    overlays: Sequence[str] = (),
    overrides: Mapping[str, object] | None = None,
    int8: Int8 | None = None,
    evaluate: Path | None = None,
) -> Exported:
    """Write the network of a bundle's `inference.json` with its weights, and see that it is right.

    The network in the file takes prepared films, float32 (batch, channel, height, width), and gives
    what the network gives. What prepares films, what averages mirror images, the operating point
    and the guard come with it as texts (`describe`), so that `predict` takes it for a bundle.

    Args:
        bundle: The bundle, with weights.
        export_format: One of `ExportFormat`.
        output: File to write; None writes `models/model` with the format's suffix.
        overlays: Names or paths of configurations merged after `inference.json`.
        overrides: Values by id of the configuration.
        int8: Quantise it; None leaves it in floating point.
        evaluate: Folder of films to judge it by; where it holds folders of the classes, by AUROC
            too. None takes films for calibration of other patients than those that calibrate, or
            noise.

    Returns:
        The file and the table, which stands beside it too. The file was read back; in floating
        point it gave the numbers of the original within `TOLERANCE`.

    Raises:
        ConfigurationError: If there is no such format, it has no INT8, or the configuration is
            wrong.
        RunError: If there are no weights, they do not fit (WEIGHTS_MISSING, WEIGHTS_MISMATCH), the
            exported network gives other numbers (INTERNAL), or INT8 costs too much accuracy.
    """
    kind = _format(export_format, int8)
    source = Source.of(bundle, overlays, overrides or {})
    calibration, judge = _films(source, int8, evaluate)
    texts = describe(
        bundle,
        source.weights,
        overlays=overlays,
        overrides=overrides or {},
        precision="float32" if int8 is None else "int8",
    )
    name = f"model{'' if int8 is None else '_int8'}{_SUFFIXES[kind]}"
    path = output or bundle.root / "models" / name
    table = [judge.row("torch float32", source.run, [source.weights])]
    with _written(kind, source, path, texts=texts, calibration=calibration) as temporary:
        exported = _opened(temporary, full_precision=int8 is None)
        if int8 is None:
            _compare(source.network, exported, source.shape)
        files = [temporary, temporary.with_suffix(".bin")]
        row = judge.row(
            kind.value if int8 is None else f"{kind.value} int8",
            lambda images: source.apply(images, exported),
            [each for each in files if each.is_file()],
        )
        _refuse_worse(row)
    table.append(row)
    write_table(
        path, table, {"bundle": bundle.name, "format": kind.value, "int8": int8 is not None}
    )
    _warn_if_predict_refuses(path)
    return Exported(path, tuple(table))


def _films(source: Source, int8: Int8 | None, evaluate: Path | None) -> tuple[Films | None, Judge]:
    """Read the films that calibrate and those that judge; no patient does both.

    Raises:
        ConfigurationError: If there are too few.
    """
    point = source.point
    classes = tuple(getattr(point, "classes", ()))
    calibrating: list[FoundFilm] = []
    others: list[FoundFilm] = []
    if int8 is not None:
        calibrating, others = draw(find_films(int8.calibration, classes), int8.films)
        if len(calibrating) < FEWEST_FILMS:
            raise ConfigurationError(
                Reason.DATASET_LAYOUT,
                f"expected at least {FEWEST_FILMS} films for calibration, got {len(calibrating)}",
            )
    if evaluate is not None:
        others = find_films(evaluate, classes)
        require_apart(calibrating, others)
    judging, _ = draw(others, _MOST_JUDGES) if evaluate is None else (others, [])
    preprocessing, reader = map(source.configuration.build, ("preprocessing", "reader"))

    def read(films: Sequence[FoundFilm], purpose: str) -> Films:
        return read_films(films, preprocessing, reader, purpose=purpose)

    calibration = read(calibrating, "reading films to calibrate with") if calibrating else None
    if not judging:
        return calibration, Judge(_noise(source.shape), point, known=False)
    return calibration, Judge(read(judging, "reading films to judge by"), point)


def _noise(shape: tuple[int, int, int]) -> Films:
    random = torch.Generator().manual_seed(0)
    images = tuple(torch.randn(shape, generator=random) for _ in range(_NOISE_FILMS))
    return Films(images, (None,) * _NOISE_FILMS, tuple(map(str, range(_NOISE_FILMS))))


@contextmanager
def _written(
    kind: ExportFormat,
    source: Source,
    path: Path,
    *,
    texts: Mapping[str, str],
    calibration: Films | None,
) -> Iterator[Path]:
    """Write the file at a temporary place; it takes its own when the block ends well."""
    if kind is ExportFormat.OPENVINO:
        model = openvino_model(source.network, shape=source.shape)
        if calibration is not None:
            _log.warning("quantising with %d films, which takes a minute or two", len(calibration))
            model, _ = quantise(model, calibration.images)
        with openvino_file(model, path, texts) as temporary:
            yield temporary
        return
    with whole_file(path) as temporary:
        if kind is ExportFormat.ONNX:
            save_onnx(source.network, temporary, texts, shape=source.shape)
        else:
            save_torchscript(source.network, temporary, texts)
        yield temporary


def _opened(path: Path, *, full_precision: bool) -> Runner:
    if path.suffix == ".xml":
        return RuntimeNetwork(OpenVinoRuntime(path, full_precision=full_precision))
    if path.suffix == ".onnx":
        return RuntimeNetwork(OnnxRuntime(path))
    return load_torchscript(path)


def _refuse_worse(row: Row) -> None:
    if row.auroc_change is not None and row.auroc_change < -AUROC_TOLERANCE:
        raise RunError(
            Reason.INTERNAL,
            f"expected an AUROC within {AUROC_TOLERANCE} of PyTorch's, got {row.auroc:.4f}, which "
            f"differs by {row.auroc_change:+.4f}; nothing was written. Calibrate with more films, "
            "or leave out --int8",
        )


def _warn_if_predict_refuses(path: Path) -> None:
    try:
        find_model(str(path))
    except PlainfilmError as error:
        _log.warning("others can run the file, but `plainfilm predict` refuses it: %s", error)


def _format(name: str, int8: Int8 | None) -> ExportFormat:
    if name not in list(ExportFormat):
        raise ConfigurationError(
            Reason.UNKNOWN_NAME,
            f"no export format named {name!r}{right_names(name, list(ExportFormat))}",
        )
    if int8 is not None and name != ExportFormat.OPENVINO:
        raise ConfigurationError(
            Reason.CONFIGURATION, f"expected --format openvino for --int8, got {name}"
        )
    return ExportFormat(name)


@torch.inference_mode()
def _compare(network: nn.Module, exported: Runner, shape: tuple[int, int, int]) -> None:
    random = torch.Generator().manual_seed(0)
    for count in _BATCHES:
        images = torch.randn((count, *shape), generator=random)
        expected, found = network(images), exported(images)
        largest = max(1.0, float(expected.abs().max()))
        if found.shape != expected.shape or not torch.allclose(
            found, expected, rtol=0, atol=TOLERANCE * largest
        ):
            raise RunError(
                Reason.INTERNAL,
                f"expected the exported network to give the numbers of the original within "
                f"{TOLERANCE:g} of the largest, got others; nothing was written, please report it",
            )
