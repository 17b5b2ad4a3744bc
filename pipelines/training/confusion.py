"""The confusion matrix as a picture, while a run trains and when it is evaluated."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FEW_CLASSES = 3
_SHORT_NAMES = 24
_DARK_SHARE = 0.5


def confusion_picture(
    logits: Sequence[Any], labels: Sequence[int], *, classes: Sequence[str] = ()
) -> npt.NDArray[np.uint8]:
    """Draw the counts of decisions at even odds, or of the most probable of three classes or more.

    Args:
        logits: One a film, or one for each class a film.
        labels: Index of the class, one a film.
        classes: Class names in order; numbers stand in their place when none are given.

    Returns:
        uint8, (height, width, 3).
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    scores = np.asarray(logits, dtype=np.float64)
    called = (scores >= 0).astype(np.int64) if scores.ndim == 1 else scores.argmax(axis=1)
    width = scores.shape[1] if scores.ndim > 1 else 2
    counts = np.bincount(np.asarray(labels) * width + called, minlength=width**2)
    names = list(classes) or [str(index) for index in range(width)]
    figure = Figure(figsize=matrix_inches(names), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    draw_confusion(figure.add_subplot(), counts.reshape(width, width), classes=names)
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]


def matrix_inches(classes: Sequence[str]) -> tuple[float, float]:
    """Return width and height of a picture with room for a matrix of these classes."""
    side = max(4.2, 1.6 + 0.8 * len(classes))
    return side + 0.4, side


def draw_confusion(
    axes: "Axes", confusion: npt.NDArray[np.integer], *, classes: Sequence[str]
) -> None:
    """Draw counts, with their shares of each true class.

    Args:
        axes: Empty axes.
        confusion: (classes, classes); row is the true class, column the called one.
        classes: Class names in order.
    """
    few = len(classes) <= _FEW_CLASSES
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(confusion):
        axes.text(
            column,
            row,
            f"{count:,}\n{shares[row, column]:.1%}",
            ha="center",
            va="center",
            fontsize=15 if few else 9,
            color="white" if shares[row, column] > _DARK_SHARE else "black",
        )
    places = range(len(classes))
    short = sum(map(len, classes)) <= _SHORT_NAMES
    level: dict[str, Any] = (
        {} if short else {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
    )
    axes.set_xticks(places, list(classes), **level)
    upright: dict[str, Any] = {"rotation": 90, "va": "center"} if few else {}
    axes.set_yticks(places, list(classes), **upright)
    axes.set_xlabel("Predicted")
    axes.set_ylabel("True")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
