"""The verbs `train` and `evaluate`: one bundle run each, the same as `monai.bundle run` does."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.datasets.opened import Opened
from pipelines.errors import ConfigurationError, Reason
from pipelines.workflows.bundle import Bundle
from pipelines.workflows.manifest import verify_manifest
from pipelines.workflows.run_folder import LAST_CHECKPOINT, runs_of, unfinished_runs


def train(
    bundle: Bundle,
    *,
    data: Path,
    output_dir: Path | None = None,
    overlays: Sequence[str] = (),
    overrides: Mapping[str, object] | None = None,
    resume: bool = False,
) -> Path:
    """Train a bundle.

    The same command given again after a kill goes on where the run was, with or without `resume`.
    SIGTERM ends the process with status 143 behind a checkpoint, see `training.stopping`.

    Args:
        bundle: What to train.
        data: Folder or datalist file of the films.
        output_dir: Folder of the run; by default one under `runs/<bundle>/`.
        overlays: Names or paths of configurations merged after `train.json`.
        overrides: Values by key, set last.
        resume: Go on with the newest unfinished run of this bundle, and refuse to begin a new one.

    Returns:
        The run folder.

    Raises:
        ConfigurationError: If there is nothing to resume.
    """
    given = dict(overrides or {})
    if resume and output_dir is None:
        runs = runs_of(bundle.root)
        waiting = [run for run in unfinished_runs(runs) if (run / LAST_CHECKPOINT).is_file()]
        if not waiting:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected an unfinished run of {bundle.name} to resume, found none in "
                f"{runs.parent.name}/{runs.name}; leave out --resume to begin one",
            )
        output_dir = waiting[0]
    from pipelines.training.stopping import lost_processes_told, stop_request

    with stop_request.heeded(), lost_processes_told():
        return _run(bundle, data=data, output_dir=output_dir, overlays=overlays, overrides=given)


def evaluate(
    bundle: Bundle,
    *,
    data: Path,
    output_dir: Path | None = None,
    overlays: Sequence[str] = (),
    overrides: Mapping[str, object] | None = None,
) -> Path:
    """Evaluate a bundle's weights with the operating point that ships with them.

    Args:
        bundle: What to evaluate.
        data: Folder or datalist file of labelled films; its test split is used unless `split` is
            overridden.
        output_dir: Folder of the run; by default one under `runs/<bundle>/`.
        overlays: Names or paths of configurations merged after `train.json` and `evaluate.json`.
        overrides: Values by key, set last.

    Returns:
        The run folder.

    Raises:
        ConfigurationError: If the bundle is not what its manifest says (MANIFEST_MISMATCH).
    """
    verify_manifest(bundle)
    return _run(
        bundle,
        data=data,
        output_dir=output_dir,
        overlays=["evaluate", *overlays],
        overrides=dict(overrides or {}),
    )


def open_dataset(
    bundle: Bundle,
    *,
    data: Path,
    overlays: Sequence[str] = (),
    overrides: Mapping[str, object] | None = None,
) -> Opened:
    """Open the data set that a training run would have, without running anything.

    Args:
        bundle: Whose configuration names it.
        data: Folder or datalist file of the films.
        overlays: Names or paths of configurations merged after `train.json`.
        overrides: Values by key, set last.

    Returns:
        The data set; its problems are raised by its `datalist`.
    """
    from monai.bundle import ConfigParser

    parser = ConfigParser()
    parser.read_config([str(bundle.train), *(str(bundle.overlay(name)) for name in overlays)])
    parser.update({"bundle_root": str(bundle.root), "dataset_dir": str(data.resolve())})
    parser.update(dict(overrides or {}))
    dataset: Opened = parser.get_parsed_content("data")
    return dataset


def _run(
    bundle: Bundle,
    *,
    data: Path,
    output_dir: Path | None,
    overlays: Sequence[str],
    overrides: dict[str, Any],
) -> Path:
    from monai.bundle import ConfigWorkflow

    if output_dir is not None:
        overrides["output_dir"] = str(output_dir.resolve())
    workflow = ConfigWorkflow(
        workflow_type="train",
        config_file=[str(bundle.train), *(str(bundle.overlay(name)) for name in overlays)],
        meta_file=str(bundle.metadata),
        logging_file=str(bundle.logging),
        bundle_root=str(bundle.root),
        dataset_dir=str(data.resolve()),
        **overrides,
    )
    workflow.initialize()
    workflow.run()
    workflow.finalize()
    return Path(workflow.parser.get_parsed_content("output_dir"))
