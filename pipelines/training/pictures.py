"""Pictures for TensorBoard: curves of a classifier, masks on films, reconstructions beside films.

Films come as `to_display` gives them: float32, 0 to 1.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional
from torch.utils.tensorboard import SummaryWriter

# Red, green, blue of masks, 0 to 1: Okabe and Ito, told apart by colour-blind people.
_COLOURS = torch.tensor(
    [
        [0.90, 0.62, 0.00],
        [0.34, 0.71, 0.91],
        [0.00, 0.62, 0.45],
        [0.94, 0.89, 0.26],
        [0.80, 0.47, 0.65],
        [0.84, 0.37, 0.00],
    ]
)
_FILL = 0.3
_LEAST_SPAN = 1e-6


def add_curves(
    writer: SummaryWriter,
    logits: Sequence[Any],
    labels: Sequence[int],
    *,
    step: int,
    classes: Sequence[str] = (),
) -> None:
    """Add precision-recall curves to TensorBoard's own page, and ROC curves as a picture.

    Classes without films on either side have no curve.

    Args:
        writer: The writer of the run.
        logits: One a film (log odds of class 1), or one for each class a film.
        labels: Index of the class, one a film.
        step: Iteration of the run.
        classes: Class names in order; numbers stand in their place when none are given.
    """
    questions = _questions(logits, labels, classes)
    add: Any = writer
    for name, truth, probability in questions:
        add.add_pr_curve(f"validation/precision_recall/{name}", truth, probability, step)
    if questions:
        picture = _roc_picture(questions)
        add.add_image("validation/roc", picture, step, dataformats="HWC")


_Question = tuple[str, npt.NDArray[np.bool_], npt.NDArray[np.float64]]


def _questions(
    logits: Sequence[Any], labels: Sequence[int], classes: Sequence[str]
) -> list[_Question]:
    """Ask of each class, against the rest; of two classes, of the second alone."""
    scores = np.asarray(logits, dtype=np.float64)
    truth = np.asarray(labels)
    if scores.ndim == 1:
        scores = np.stack([np.zeros_like(scores), scores], axis=1)
    probabilities = torch.from_numpy(scores).softmax(dim=1).numpy()
    width = scores.shape[1]
    names = list(classes) or [str(index) for index in range(width)]
    asked = range(width) if width > 2 else [1]  # noqa: PLR2004 - the second of two
    return [
        (names[index], truth == index, probabilities[:, index])
        for index in asked
        if 0 < int((truth == index).sum()) < len(truth)
    ]


def _roc_picture(questions: Sequence[_Question]) -> npt.NDArray[np.uint8]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from sklearn.metrics import roc_auc_score, roc_curve

    figure = Figure(figsize=(4.2, 4.2), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="#767676", linewidth=1, linestyle=":")
    for name, truth, probability in questions:
        false_positive, sensitivity, _ = roc_curve(truth, probability)
        area = roc_auc_score(truth, probability)
        axes.plot(false_positive, sensitivity, label=f"{name} {area:.3f}")
    axes.set_xlabel("1 - specificity")
    axes.set_ylabel("Sensitivity")
    axes.legend(loc="lower right", fontsize=7)
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]


def is_of_crops(images: torch.Tensor) -> bool:
    """Return whether channels are no colours but crops of one film, as a refiner takes them."""
    return images.shape[1] not in {1, 3}


def one_by_one(images: torch.Tensor) -> torch.Tensor:
    """Let each crop of the first film be a picture of its own; films of 1 or 3 channels stay.

    Args:
        images: (batch, channel, height, width).

    Returns:
        The same, or (channel, 1, height, width).
    """
    return images[0, :, None] if is_of_crops(images) else images


def with_masks(
    images: torch.Tensor, masks: torch.Tensor, predictions: torch.Tensor
) -> torch.Tensor:
    """Lay true and predicted masks side by side on films.

    Args:
        images: (batch, 1 or 3, height, width), 0 to 1.
        masks: True masks, (batch, structure, height, width), 0 and 1.
        predictions: Logits, of the shape of `masks`.

    Returns:
        (batch, 3, height, 2 * width), 0 to 1: truth on the left, prediction on the right.
    """
    colour = images.cpu().float().expand(-1, 3, -1, -1)
    sides = [_painted(colour, each.cpu()) for each in (masks > 0, predictions > 0)]
    return torch.cat(sides, dim=3)


def _painted(colour: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Fill each structure thinly and draw its outline."""
    painted = colour.clone()
    for index in range(masks.shape[1]):
        mask = masks[:, index : index + 1].float()
        outline = mask - -functional.max_pool2d(-mask, 3, stride=1, padding=1)
        share = torch.maximum(_FILL * mask, outline)
        shade = _COLOURS[index % len(_COLOURS)].view(1, 3, 1, 1)
        painted = painted * (1 - share) + shade * share
    return painted.clamp(0, 1)


def with_reconstructions(images: torch.Tensor, reconstructions: torch.Tensor) -> torch.Tensor:
    """Lay films, their reconstructions and what differs side by side.

    Args:
        images: (batch, channel, height, width), 0 to 1.
        reconstructions: Of the same shape; values beyond 0 and 1 are cut off.

    Returns:
        (batch, channel, height, 3 * width), 0 to 1; the difference of each film is stretched to 1.
    """
    films = images.detach().cpu().float().clamp(0, 1)
    made = reconstructions.detach().cpu().float().clamp(0, 1)
    difference = (films - made).abs()
    largest = difference.amax(dim=(1, 2, 3), keepdim=True).clamp_min(_LEAST_SPAN)
    return torch.cat([films, made, difference / largest], dim=3)
