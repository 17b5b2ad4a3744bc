"""The verb `compare`: finished runs, or those of an experiment, in one table and one picture."""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from pipelines.errors import (
    ConfigurationError,
    PlainfilmError,
    Reason,
    RunError,
    refusal_behind,
)
from pipelines.evaluation.comparison import (
    ComparedRun,
    compared_figures,
    format_comparison,
    write_comparison,
)
from pipelines.evaluation.paired import PairedDifference, format_pairs, write_pairs
from pipelines.files import write_json, write_text
from pipelines.workflows.experiment import Cell, Experiment, read_experiment
from pipelines.workflows.finished_run import METRICS, FinishedRun, read_run
from pipelines.workflows.pairing import pair_runs
from pipelines.workflows.run import evaluate, train

logger = logging.getLogger(__name__)

_EXPERIMENT_SUFFIXES = (".yaml", ".yml")
_SETTINGS = "experiment.json"
_SHOWN = {"auroc": "AUROC", "auroc_positive": "AUROC, positive classes", "accuracy": "accuracy"}


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was compared, and what could not be.

    Attributes:
        runs: Rows of the table.
        problems: A sentence for each run that is not among them.
        pairs: Each run against those before it, film by film.
    """

    runs: tuple[ComparedRun, ...]
    problems: tuple[str, ...]
    pairs: tuple[PairedDifference, ...] = ()

    @property
    def table(self) -> str:
        """The table as text, differences between runs below it."""
        table = format_comparison(self.runs)
        if not self.pairs:
            return table
        shown = {name: title for name, title in _SHOWN.items() if name in self.runs[0].figures}
        told = shown or compared_figures(self.runs)
        return f"{table}\n\n{format_pairs(self.pairs, shown=told)}"


def compare(sources: Sequence[Path], output_dir: Path, *, data: Path | None = None) -> Comparison:
    """Compare runs that were evaluated on the same films.

    Writes `comparison.txt`, `comparison.csv` and `comparison.png`, of two runs or more
    `comparison_pairs.csv` too. A run that cannot be compared is told, and the others go on.

    Args:
        sources: Run folders, and experiment files (`.yaml`), whose runs are trained below
            `output_dir` unless they are finished there; the same call goes on after a kill.
        output_dir: Folder for table, picture and the runs of experiments.
        data: Films of the experiments, in place of those that the files name.

    Returns:
        The comparison.

    Raises:
        ConfigurationError: If an experiment file is wrong, or no run at all can be compared.
    """
    finished: list[FinishedRun] = []
    problems: list[str] = []
    for name, make in list(_jobs(sources, output_dir, data)):
        try:
            finished.append(make())
        except PlainfilmError as error:
            problems.append(f"{name}: {error}")
            logger.warning("%s", problems[-1])
    same = [each for each in finished if each.films == finished[0].films]
    others = [each for each in finished if each not in same]
    problems += [_on_other_films(each.row, finished[0].row) for each in others]
    if not same:
        raise ConfigurationError(Reason.CONFIGURATION, "\n".join(problems))
    rows = tuple(each.row for each in same)
    comparison = Comparison(rows, tuple(problems), tuple(pair_runs(same)))
    write_text(output_dir / "comparison.txt", comparison.table + "\n")
    write_comparison(output_dir, comparison.runs)
    if comparison.pairs:
        write_pairs(output_dir, comparison.pairs)
    return comparison


def _jobs(
    sources: Sequence[Path], output_dir: Path, data: Path | None
) -> Iterator[tuple[str, Callable[[], FinishedRun]]]:
    """Give each run's name and what reads it; every experiment file is checked on the way."""
    several = len({path.resolve().name for path in sources}) < len(sources)
    for path in sources:
        if path.suffix not in _EXPERIMENT_SUFFIXES:
            parts = path.resolve().parts
            name = "/".join(parts[-2:]) if several else parts[-1]
            yield name, partial(read_run, name, path)
            continue
        experiment = read_experiment(path, data=data)
        for cell in experiment.cells:
            folder = output_dir / experiment.name / cell.folder
            yield cell.name, partial(_run_cell, experiment, cell, folder)


def _run_cell(experiment: Experiment, cell: Cell, folder: Path) -> FinishedRun:
    """Train a run of an experiment, and evaluate it where asked, unless that is done; read it.

    Raises:
        RunError: If it does not end well for a reason that is not known.
        PlainfilmError: If it cannot be trained, or was with other settings.
    """
    _record_settings(experiment, cell, folder)
    figures = folder if experiment.split == "val" else folder / experiment.split
    try:
        if not (folder / METRICS).is_file():
            logger.info("training %s", cell.name)
            train(
                experiment.bundle,
                data=experiment.data,
                output_dir=folder,
                overlays=cell.overlays,
                overrides=cell.overrides,
            )
        if not (figures / METRICS).is_file():
            evaluate(
                experiment.bundle,
                data=experiment.data,
                output_dir=figures,
                overlays=cell.overlays,
                overrides={
                    **cell.overrides,
                    "weights": str((folder / "model.pt").resolve()),
                    "split": experiment.split,
                },
            )
    except Exception as error:
        refusal = refusal_behind(error)
        if refusal is not None:
            raise refusal from error
        raise RunError(
            Reason.INTERNAL,
            f"expected the run to end well, got {type(error).__name__}; train it alone to see why",
        ) from error
    return read_run(cell.name, figures, config=folder / "config.json")


def _record_settings(experiment: Experiment, cell: Cell, folder: Path) -> None:
    settings = json.loads(json.dumps({"bundle": experiment.bundle.name, **asdict(cell)}))
    path = folder / _SETTINGS
    if not path.is_file():
        write_json(path, settings)
    elif json.loads(path.read_text(encoding="utf-8")) != settings:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected the settings of the run in '{folder.name}', the experiment now has others; "
            "name another output, or remove that folder",
        )


def _on_other_films(run: ComparedRun, first: ComparedRun) -> str:
    return (
        f"{run.name}: expected the {first.films} films ({first.split}) of {first.name}, got "
        f"{run.films} ({run.split}) that are not the same; evaluate both on one split"
    )
