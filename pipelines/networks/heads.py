"""The last layers of a classifier: from pooled features to one logit, or to one for each class."""

from collections.abc import Sequence

from torch import nn

from pipelines.errors import ConfigurationError, Reason


def build_head(features: int, outputs: int, *, dropout: float, hidden: int | None) -> nn.Module:
    """Return the layers behind the dropout that a network has before its head.

    Args:
        features: Length of the pooled features.
        outputs: Number of logits.
        dropout: Share of the hidden features that is dropped in training, 0 up to below 1.
        hidden: Length of one layer in between, with ReLU and dropout behind it; None has none.

    Returns:
        A linear layer, or a sequence whose first and last layers are linear.
    """
    if hidden is None:
        return nn.Linear(features, outputs)
    return nn.Sequential(
        nn.Linear(features, hidden),
        nn.ReLU(inplace=True),
        nn.Dropout(dropout),
        nn.Linear(hidden, outputs),
    )


def check_head(*, in_channels: int, out_channels: int, dropout: float, hidden: int | None) -> None:
    """Hold the numbers of a classifier against their rules.

    Args:
        in_channels: Channels of the image, 1 or more.
        out_channels: Number of logits, 1 or more.
        dropout: 0 up to below 1.
        hidden: 1 or more, or None.

    Raises:
        ConfigurationError: If one breaks its rule.
    """
    for key, value in {
        "in_channels": in_channels,
        "out_channels": out_channels,
        "hidden": 1 if hidden is None else hidden,
    }.items():
        if value < 1:
            raise ConfigurationError(
                Reason.CONFIGURATION, f"expected {key} to be a whole number above 0, got {value!r}"
            )
    if not 0 <= dropout < 1:
        raise ConfigurationError(
            Reason.CONFIGURATION, f"expected dropout of 0 up to below 1, got {dropout!r}"
        )


def outputs_for(classes: Sequence[str]) -> int:
    """Return how many logits a classifier has that gives one for each class.

    Args:
        classes: Names of the classes.
    """
    return len(classes)
