"""The verb `ensemble`: finished runs become one set of weights with its own operating point."""

import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.datasets.datalist import Datalist, Item
from pipelines.errors import ConfigurationError, Reason
from pipelines.evaluation.guard import FILE_NAME
from pipelines.evaluation.operating_point import OperatingPoint
from pipelines.evaluation.trained_on import FILE_NAME as TRAINED_ON
from pipelines.evaluation.trained_on import TrainedOn
from pipelines.files import whole_file, write_json
from pipelines.networks.ensemble import build_ensemble
from pipelines.networks.weights import load_weights, save_weights
from pipelines.workflows.bundle import Bundle, find_bundle
from pipelines.workflows.ensemble_settings import DESCRIPTION, WEIGHTS, ensemble_settings
from pipelines.workflows.required import Kind
from pipelines.workflows.run import evaluate

logger = logging.getLogger(__name__)

_FILMS = "validation.json"
_FEWEST = 2
_RUN = [
    "$@record.start()",
    "$@outcome.check_evaluation()",
    "$@validate::dataset.read_all()",
    "$@outcome.choose()",
]


@dataclass(frozen=True, slots=True)
class _Member:
    """A finished run of a classifier.

    Attributes:
        folder: Its folder.
        config: Its merged configuration.
        point: Its operating point.
    """

    folder: Path
    config: Mapping[str, Any]
    point: OperatingPoint

    def takes(self) -> dict[str, object]:
        """What the films of all members must have in common."""
        return {
            "classes": self.point.classes,
            "positive_classes": self.point.positive_classes,
            "preprocessing": self.config["validate"]["preprocessing"],
            "inferer": self.config["validate"]["inferer"],
            "image_size": self.config.get("image_size"),
            "input_size": self.point.input_size,
        }


@dataclass(frozen=True, slots=True)
class MadeEnsemble:
    """What became of the runs.

    Attributes:
        folder: Holds `model.pt`, `operating_point.json` and `ensemble.json`.
        members: Number of runs.
        films: Number of validation films that no member has trained on.
        point: The operating point.
    """

    folder: Path
    members: int
    films: int
    point: OperatingPoint

    def __str__(self) -> str:
        """Say how the operating point was chosen."""
        threshold = self.point.threshold
        told = "the most probable class" if threshold is None else f"threshold {threshold:.4g}"
        how = (
            f"chosen on {self.films} validation films that no member was trained on"
            if self.films
            else "the mean of the members' thresholds: every validation film of a member was "
            "trained on by another one"
        )
        return f"{self.members} members; {told} ({how})"


def make_ensemble(runs: Sequence[Path], output_dir: Path) -> MadeEnsemble:
    """Make one set of weights of several finished runs.

    The operating point is chosen by the criterion of the first run, on those validation films that
    all members share and none was trained on, which the figures in `output_dir` are then of. Where
    there are none, as with the folds of a cross-validation, it is the mean of the members'
    thresholds, and there are no figures.

    Args:
        runs: Run folders of classifiers of one bundle, two or more.
        output_dir: Folder to write to; made if missing.

    Returns:
        What was made.

    Raises:
        ConfigurationError: If a run is not finished, or runs do not take the same films.
    """
    members = [_read_member(folder) for folder in runs]
    _require_fitting(members)
    _write_weights(members, output_dir)
    first = members[0]
    films = _unseen([Datalist.read(member.folder / "datalist.json") for member in members])
    if films is None:
        return MadeEnsemble(
            output_dir, len(members), 0, OperatingPoint.beside(output_dir / WEIGHTS)
        )
    films.write(output_dir / _FILMS)
    evaluate(
        _bundle_of(first),
        data=output_dir / _FILMS,
        output_dir=output_dir,
        overrides={
            **ensemble_settings(output_dir, base=Kind.TRAIN),
            **{"split": "val", "run": _RUN},
            "outcome::criterion": first.point.criterion,
            "outcome::target": first.point.target,
        },
    )
    point = OperatingPoint.beside(output_dir / WEIGHTS)
    return MadeEnsemble(output_dir, len(members), len(films.val), point)


def _read_member(folder: Path) -> _Member:
    missing = [
        name
        for name in ("metrics.json", "config.json", "datalist.json", WEIGHTS)
        if not (folder / name).is_file()
    ]
    if missing:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected the folder of a finished training run, '{folder.name}' has no "
            f"{missing[0]}; name folders that `plainfilm train` made",
        )
    point = OperatingPoint.beside(folder / WEIGHTS)
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        member = _Member(folder, config, point)
        member.takes()
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected the configuration of a training run in '{folder.name}/config.json', got "
            f"{type(error).__name__}; name folders that `plainfilm train` made",
        ) from error
    return member


def _require_fitting(members: Sequence[_Member]) -> None:
    """Refuse runs that do not take the same films in the same way.

    Raises:
        ConfigurationError: With what differs.
    """
    if len(members) < _FEWEST:
        raise ConfigurationError(
            Reason.CONFIGURATION, f"expected two runs or more, got {len(members)}; name others too"
        )
    wanted = members[0].takes()
    for member in members[1:]:
        other = member.takes()
        differing = [name for name, value in wanted.items() if other[name] != value]
        if differing:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected runs that take the same films in the same way, '{member.folder.name}' "
                f"has another {' and '.join(differing)} than '{members[0].folder.name}'; "
                "only networks may differ",
            )


def _write_weights(members: Sequence[_Member], output_dir: Path) -> None:
    """Write description, weights, guard, and the operating point that needs no films."""
    first = members[0]
    write_json(
        output_dir / DESCRIPTION,
        {
            "image_size": first.config.get("image_size"),
            "preprocessing": first.config["validate"]["preprocessing"],
            "inferer": first.config["validate"]["inferer"],
            "members": [
                {
                    "run": member.folder.resolve().name,
                    "network_def": _definition(member.config),
                    "temperature": member.point.temperature,
                    "bias": member.point.bias,
                }
                for member in members
            ],
        },
    )
    network = build_ensemble(output_dir / DESCRIPTION)
    for part, member in zip(network.members, members, strict=True):
        load_weights(part, member.folder / WEIGHTS)
    save_weights(network, output_dir / WEIGHTS)
    if (first.folder / FILE_NAME).is_file():
        with whole_file(output_dir / FILE_NAME) as temporary:
            shutil.copyfile(first.folder / FILE_NAME, temporary)
    known = [TrainedOn.beside(member.folder / WEIGHTS) for member in members]
    parts = [part for part in known if part is not None]
    # A part that does not say would leave the ensemble silent of some of its films.
    if len(parts) == len(members):
        TrainedOn.together(parts).save(output_dir / TRAINED_ON)
    told = [member.point.threshold for member in members]
    thresholds = [threshold for threshold in told if threshold is not None]
    threshold = float(np.mean(thresholds)) if len(thresholds) == len(told) else None
    OperatingPoint(
        threshold=threshold,
        temperature=1.0,
        classes=first.point.classes,
        criterion="argmax" if threshold is None else "given",
        split=first.point.split,
        target=threshold,
        positive_classes=first.point.positive_classes,
        input_size=first.point.input_size,
    ).save(output_dir / "operating_point.json")


def _definition(config: Mapping[str, Any]) -> dict[str, object]:
    """The network's definition, with what it takes from other keys."""
    from monai.bundle import ConfigParser

    parser = ConfigParser(dict(config))
    return {
        key: parser.get_parsed_content(f"network_def::{key}")
        if isinstance(value, str) and value.startswith(("@", "$"))
        else value
        for key, value in config["network_def"].items()
    }


def _unseen(lists: Sequence[Datalist]) -> Datalist | None:
    """The validation films that all runs share and none was trained on; None without any class."""
    trained = {str(item["image"]) for each in lists for item in each.train}
    shared = set.intersection(*({str(item["image"]) for item in each.val} for each in lists))
    first = lists[0]
    films: list[Item] = [item for item in first.val if str(item["image"]) in shared - trained]
    if {item["label"] for item in films} != set(range(len(first.classes))):
        return None
    return Datalist(first.classes, train=[], val=films, test=[], root=first.root)


def _bundle_of(member: _Member) -> Bundle:
    root = member.config["bundle_root"]
    return find_bundle(str(root["name"] if isinstance(root, dict) else root))
