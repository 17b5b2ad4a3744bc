"""Metrics that SageMaker reads out of the log of a run, by regular expressions."""

from collections.abc import Iterator
from pathlib import Path

from pipelines.files import read_json_object
from pipelines.workflows.bundle import Bundle

FINAL = (
    *("auroc", "auprc", "accuracy", "balanced_accuracy", "sensitivity", "specificity", "f1"),
    *("auroc_mean_of_classes", "mean_dice", "dice", "iou", "psnr", "ssim"),
)
"""Figures of the end, as far as a bundle has them."""

_NUMBER = "([-+0-9.eE]+)"
_EPOCH = "Epoch [0-9]+ of [0-9]+: train loss"


def metric_definitions(bundle: Bundle) -> list[dict[str, str]]:
    """Return names and regular expressions for what a run of a bundle logs.

    Args:
        bundle: Its key metric is what each epoch is judged by.

    Returns:
        `Name` and `Regex`, as `CreateTrainingJob` takes them.
    """
    key = next(iter(_key_metric(bundle)), "val_metric")
    definitions = {
        "epoch": "Epoch ([0-9]+) of [0-9]+: train loss",
        "train:loss": f"{_EPOCH} {_NUMBER},",
        f"validation:{key.removeprefix('val_')}": f"{_EPOCH} [^,]+, {key} {_NUMBER},",
        "epoch:seconds": f"{_EPOCH} [^,]+, [^,]+, {_NUMBER} s,",
        "epoch:waited_percent": f"{_EPOCH} .* waited {_NUMBER} % for films",
    }
    definitions |= {f"final:{name}": f"final {name}={_NUMBER}" for name in FINAL}
    return [{"Name": name, "Regex": regex} for name, regex in definitions.items()]


def final_lines(run: Path) -> Iterator[str]:
    """Give the figures of a finished run as lines that the regular expressions find.

    Args:
        run: Its folder.
    """
    figures = read_json_object(run / "metrics.json").get("metrics")
    for name, figure in (figures if isinstance(figures, dict) else {}).items():
        value, low, high = (figure.get(key) for key in ("value", "low", "high"))
        if isinstance(value, int | float):
            between = "" if None in {low, high} else f" low={low:.6f} high={high:.6f}"
            yield f"final {name}={value:.6f}{between}"


def _key_metric(bundle: Bundle) -> dict[str, object]:
    validate = read_json_object(bundle.train).get("validate")
    key = validate.get("key_metric") if isinstance(validate, dict) else None
    return key if isinstance(key, dict) else {}
