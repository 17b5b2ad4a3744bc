"""The ids that MONAI's workflow check and applications built on bundles look for."""

from collections.abc import Iterator, Mapping
from enum import StrEnum

from pipelines.nearest import nearest
from pipelines.workflows.components import TARGET, is_component
from pipelines.workflows.merging import first_missing, look_up
from pipelines.workflows.reading import SEPARATOR
from pipelines.workflows.references import Complaint, absolute, is_within


class Kind(StrEnum):
    """What a configuration is for."""

    TRAIN = "train"
    INFERENCE = "inference"


_EVERYWHERE = ("bundle_root", "dataset_dir", "output_dir", "device", "network_def", "run")
_REQUIRED = {
    Kind.TRAIN: (
        *_EVERYWHERE,
        "train::trainer",
        "train::trainer::max_epochs",
        "train::dataset",
        "train::inferer",
    ),
    Kind.INFERENCE: (*_EVERYWHERE, "dataset", "evaluator", "inferer"),
}
# What stands at the first id, if anything does, must refer to the second by its name.
_REFERRED = {
    Kind.TRAIN: {
        "train::trainer::train_handlers": "train::handlers",
        "train::dataset::transform": "train::preprocessing",
        "train::trainer::postprocessing": "train::postprocessing",
        "train::trainer::key_train_metric": "train::key_metric",
        "validate::evaluator::val_handlers": "validate::handlers",
        "validate::dataloader::dataset": "validate::dataset",
        "validate::evaluator::inferer": "validate::inferer",
        "validate::dataset::transform": "validate::preprocessing",
        "validate::evaluator::postprocessing": "validate::postprocessing",
        "validate::evaluator::key_val_metric": "validate::key_metric",
    },
    Kind.INFERENCE: {
        "evaluator::val_handlers": "handlers",
        "dataset::transform": "preprocessing",
        "evaluator::postprocessing": "postprocessing",
        "evaluator::key_val_metric": "key_metric",
    },
}
_VALIDATION_HANDLER = {"validator": "validate::evaluator", "interval": "val_interval"}


def check_required(
    config: Mapping[str, object], kind: Kind, blamed: set[str]
) -> Iterator[Complaint]:
    """Find ids that are missing, of each branch only the outermost.

    Args:
        config: A merged configuration.
        kind: What it is for.
        blamed: Ids whose absence is already explained.
    """
    explained = set(blamed)
    expected = (*_REQUIRED[kind], *_REFERRED[kind].values(), "train::dataloader")
    known = {part for name in expected for part in name.split(SEPARATOR)}
    for required in _REQUIRED[kind]:
        name = first_missing(config, required)
        if not name or is_within(name, explained) or _is_behind_macro(config, name):
            continue
        explained.add(name)
        parent_id, _, last = name.rpartition(SEPARATOR)
        parent = look_up(config, parent_id) if parent_id else config
        others = [str(key) for key in parent] if isinstance(parent, Mapping) else []
        unknown = [key for key in others if key not in known]
        close = nearest(last, unknown)
        place = f"{parent_id}{SEPARATOR}{close}" if parent_id and close else close or parent_id
        hint = f"; '{close}' may be a misspelling of it" if close else ""
        yield Complaint(place, f"the required id '{name}' is missing{hint}", name)


def _is_behind_macro(config: Mapping[str, object], name: str) -> bool:
    parts = name.split(SEPARATOR)
    ancestors = (SEPARATOR.join(parts[:depth]) for depth in range(1, len(parts)))
    return any(str(look_up(config, each)).startswith("%") for each in ancestors)


def check_names(config: Mapping[str, object], kind: Kind) -> Iterator[Complaint]:
    """Find arguments that MONAI expects to refer to an id of a fixed name."""
    for place, name in _REFERRED[kind].items():
        value = look_up(config, place)
        if isinstance(value, str):
            value = absolute(place, value)
        if value is not None and not _refers_to(value, name) and not _leads_nowhere(value, config):
            yield Complaint(place, f"MONAI expects '@{name}' here; move the value there")
    if kind is Kind.TRAIN:
        yield from _check_train_handlers(look_up(config, "train::handlers"))


def _leads_nowhere(value: object, config: Mapping[str, object]) -> bool:
    """Whether this is a reference that the check of references complains about."""
    is_reference = isinstance(value, str) and value.startswith("@")
    return is_reference and first_missing(config, str(value)[1:]) is not None


def _check_train_handlers(handlers: object) -> Iterator[Complaint]:
    if handlers is None:
        return
    if not isinstance(handlers, list):
        yield Complaint("train::handlers", "MONAI expects a list of components here")
        return
    for index, handler in enumerate(handlers):
        place = f"train::handlers::{index}"
        if not is_component(handler):
            yield Complaint(place, "MONAI expects a component with _target_ here")
        elif handler[TARGET] == "ValidationHandler":
            for argument, name in _VALIDATION_HANDLER.items():
                if argument in handler and not _refers_to(handler[argument], name):
                    yield Complaint(
                        f"{place}{SEPARATOR}{argument}", f"MONAI expects '@{name}' here"
                    )


def _refers_to(value: object, name: str) -> bool:
    if not isinstance(value, str):
        return False
    return value.startswith("$") or absolute("", value) == f"@{name}"
