"""INT8: layers of a network in eight bits, their ranges taken from films that it is shown.

Post-training quantisation by NNCF. Not every layer gains by it. The gates of
squeeze-and-excitation (convolutions on maps of one pixel) cost most of the accuracy and none of the
time; with them, additions, multiplications and activations stay in floating point, and so do the
first convolution and the last layer, which see the film and the answer themselves.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any

import torch

from pipelines.networks.telemetry import switch_off_telemetry

FEWEST_FILMS = 8
"""Films below which ranges are a guess."""

_ELEMENTWISE = frozenset({"Add", "Multiply", "Swish", "Sigmoid", "ReduceMean", "HSwish"})


def quantise(model: Any, films: Sequence[torch.Tensor]) -> tuple[Any, int]:
    """Quantise an OpenVINO model.

    Args:
        model: An `openvino.Model` in floating point; it stays as it is.
        films: float32, (channel, height, width), to take ranges from.

    Returns:
        The model, and how many of its operations were kept in floating point on purpose.
    """
    switch_off_telemetry()
    import nncf

    kept = kept_in_float(model)
    with _quiet():
        quantised = nncf.quantize(
            model,
            nncf.Dataset([film[None].numpy() for film in films]),
            subset_size=len(films),
            ignored_scope=nncf.IgnoredScope(names=kept, validate=False),
        )
    return quantised, len(kept)


def kept_in_float(model: Any) -> list[str]:
    """Name the operations that are not worth quantising: see the module.

    Args:
        model: An `openvino.Model`.

    Returns:
        Names; of a network without gates none.
    """
    operations = model.get_ordered_ops()
    convolutions = [each for each in operations if each.get_type_name() == "Convolution"]
    gates = [each for each in convolutions if _sees_one_pixel(each)]
    if not gates:
        return []
    ends = [*convolutions[:1], *[each for each in operations if _is_linear(each)][-1:]]
    elementwise = [each for each in operations if each.get_type_name() in _ELEMENTWISE]
    return sorted({each.get_friendly_name() for each in (*gates, *ends, *elementwise)})


def _sees_one_pixel(operation: Any) -> bool:
    side = operation.output(0).get_partial_shape()[2]
    return bool(side.is_static and side.get_length() == 1)


def _is_linear(operation: Any) -> bool:
    return bool(operation.get_type_name() == "MatMul")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what NNCF says of its own doing, hundreds of lines, to itself."""
    logger = logging.getLogger("nncf")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
