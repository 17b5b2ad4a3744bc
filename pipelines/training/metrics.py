"""Scores of a validation pass by name, in families: what a network answers decides which apply."""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import partial

from ignite.metrics import Metric

from pipelines.errors import ConfigurationError, Reason
from pipelines.nearest import right_names
from pipelines.training.classification_metrics import CLASSIFICATION, auroc_of_group
from pipelines.training.reconstruction_metrics import MEASURES, ReconstructionMeasure
from pipelines.training.segmentation_metrics import LayerDice

_OF_GROUP = "auroc_positive"


class Family(StrEnum):
    """What a network answers."""

    CLASSIFICATION = "classification"
    SEGMENTATION = "segmentation"
    RECONSTRUCTION = "reconstruction"


def build_metric(
    name: str, *, classes: Sequence[str] = (), positive_classes: Sequence[str] = ()
) -> Metric:
    """Return the ignite metric called `name`.

    Args:
        name: Classification, one logit or one for each class: `auroc`, `auprc`, `accuracy`,
            `balanced_accuracy`, `sensitivity`, `specificity`, `f1` or `loss`, which of three
            classes or more are means over the classes; `auroc_positive`, of some classes together.
            Segmentation, logits and labels (batch, channel, height, width): `dice`.
            Reconstruction, films and labels (batch, channel, height, width): `psnr`, `mse`, `mae`
            or `ssim`; of these only `psnr` and `ssim` are higher when better.
        classes: Class names in order; only for `auroc_positive`.
        positive_classes: Those that count as one; only for `auroc_positive`.

    Returns:
        A metric to attach to an evaluator whose output holds `pred` and `label`.

    Raises:
        ConfigurationError: If there is no such metric, or no such class.
    """
    if name == _OF_GROUP:
        return auroc_of_group(_places(positive_classes, classes))
    makers = {known: make for family in FAMILIES.values() for known, make in family.items()}
    if name not in makers:
        raise ConfigurationError(
            Reason.UNKNOWN_NAME,
            f"expected the name of a metric, got {name!r}{right_names(name, [*makers, _OF_GROUP])}",
        )
    return makers[name]()


def _places(positive_classes: Sequence[str], classes: Sequence[str]) -> list[int]:
    unknown = [name for name in positive_classes if name not in classes]
    if unknown or not 0 < len(set(positive_classes)) < len(classes):
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected positive_classes to be some of the classes {', '.join(classes)}, got "
            f"{', '.join(positive_classes) or 'none'}; name those that count as one",
        )
    return [list(classes).index(name) for name in positive_classes]


def family_of(name: str) -> Family | None:
    """Return the family of a metric by its name, with or without `val_`; None for foreign ones.

    Examples:
        >>> family_of("val_dice").value
        'segmentation'
    """
    bare = name.removeprefix("val_")
    if bare == _OF_GROUP:
        return Family.CLASSIFICATION
    return next((family for family, makers in FAMILIES.items() if bare in makers), None)


FAMILIES: Mapping[Family, Mapping[str, Callable[[], Metric]]] = {
    Family.CLASSIFICATION: CLASSIFICATION,
    Family.SEGMENTATION: {"dice": LayerDice},
    Family.RECONSTRUCTION: {name: partial(ReconstructionMeasure, name) for name in MEASURES},
}
"""How each metric is made; a name stands in one family only."""
