"""The settings of a run as flat names and plain values, for whatever shows runs side by side."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

Setting: TypeAlias = bool | int | float | str

# Where something lies on this machine is no setting, and nobody else's business.
_PLACES = frozenset({"bundle_root", "weights", "pretrained", "directory", "folder"})
_PLACE_ENDING = "_dir"
_LONGEST = 250


def recorded_settings(output_dir: Path | str) -> dict[str, Setting]:
    """Return the settings that stand in the `config.json` of a run, flat; none where it is missing.

    Args:
        output_dir: Folder of the run.
    """
    try:
        content = json.loads((Path(output_dir) / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return flat_settings(content) if isinstance(content, dict) else {}


def flat_settings(settings: Mapping[str, Any]) -> dict[str, Setting]:
    """Flatten nested settings; places on this machine and what is built of others are left out.

    Args:
        settings: A merged configuration, or any mapping.

    Returns:
        Values by id, its parts joined by `.`; lists of plain values as text.

    Examples:
        >>> flat_settings({"seed": 0, "loss": {"_target_": "a.b.Loss", "gamma": 2.0, "net": "@n"}})
        {'seed': 0, 'loss': 'Loss', 'loss.gamma': 2.0}
    """
    return dict(_flat(settings, ""))


def _flat(settings: Mapping[str, Any], place: str) -> Iterator[tuple[str, Setting]]:
    for key, value in settings.items():
        name = f"{place}.{key}" if place else str(key)
        if _is_place(str(key)) and not isinstance(value, Mapping):
            continue
        if key == "_target_" and place:
            yield place, str(value).rpartition(".")[2]
        elif isinstance(value, Mapping):
            yield from _flat(value, name)
        elif isinstance(value, list) and all(_is_plain(item) for item in value):
            yield name, str(value)[:_LONGEST]
        elif _is_plain(value) and not key.startswith("_"):
            yield name, value[:_LONGEST] if isinstance(value, str) else value


def _is_place(key: str) -> bool:
    return key in _PLACES or key.endswith(_PLACE_ENDING)


def _is_plain(value: object) -> bool:
    if isinstance(value, str):
        return not value.startswith(("@", "$", "%", "/"))
    return isinstance(value, bool | int | float)


def add_hyperparameters(
    writer: SummaryWriter, settings: Mapping[str, Setting], metrics: Mapping[str, float]
) -> None:
    """Show settings and final metrics in TensorBoard's table of hyperparameters.

    Args:
        writer: The writer of the run.
        settings: What `flat_settings` gives.
        metrics: Final metrics by the names under which the run wrote them as scalars.
    """
    # The writer's own `add_hparams` would open a second run for them.
    opened: Any = writer
    for summary in hparams(dict(settings), dict(metrics)):  # type: ignore[no-untyped-call]
        opened._get_file_writer().add_summary(summary)
    opened.flush()
