"""Networks written as ONNX and OpenVINO, with the texts that go with them."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn

from pipelines.deploy.packages.opened import RT_INFO
from pipelines.files import whole_file
from pipelines.networks.runtimes.onnx_file import to_onnx
from pipelines.networks.telemetry import switch_off_telemetry
from pipelines.unfinished import FILES, held_folder, scratch_folder

Shape = tuple[int, int, int]


def save_onnx(network: nn.Module, path: Path, texts: Mapping[str, str], *, shape: Shape) -> None:
    """Write a network as ONNX with texts, whole or not at all.

    Args:
        network: As of `to_onnx`.
        path: File to write.
        texts: Content by name, kept as metadata of the model.
        shape: As of `to_onnx`.

    Raises:
        RunError: As `to_onnx`.
    """
    import onnx

    with whole_file(path) as temporary:
        to_onnx(network, temporary, shape=shape)
        model = onnx.load(temporary)
        onnx.helper.set_model_props(model, dict(texts))
        onnx.save(model, temporary)


def openvino_model(network: nn.Module, *, shape: Shape) -> Any:
    """Convert a network to OpenVINO by way of ONNX.

    Args:
        network: As of `to_onnx`.
        shape: As of `to_onnx`.

    Returns:
        An `openvino.Model`.

    Raises:
        RunError: As `to_onnx`.
    """
    switch_off_telemetry()
    import openvino

    with scratch_folder() as folder:
        path = folder / "network.onnx"
        to_onnx(network, path, shape=shape)
        return openvino.Core().read_model(path).clone()


@contextmanager
def openvino_file(model: Any, path: Path, texts: Mapping[str, str]) -> Iterator[Path]:
    """Write an OpenVINO model with texts; its two files take their places if the block ends well.

    Args:
        model: An `openvino.Model`.
        path: The `.xml` to write; the `.bin` of the same name comes beside it.
        texts: Content by name, kept as one JSON text in `rt_info`.

    Yields:
        The `.xml` at its temporary place, with its `.bin`.
    """
    import openvino

    model.set_rt_info(json.dumps(dict(texts)), [RT_INFO])
    path.parent.mkdir(parents=True, exist_ok=True)
    with held_folder(path.parent, f"{FILES}{path.stem[:100]}-") as folder:
        made = folder / path.name
        openvino.save_model(model, made, compress_to_fp16=False)
        yield made
        # The graph comes last: until then a reader finds the pair of before, or none.
        for suffix in (".bin", ".xml"):
            with whole_file(path.with_suffix(suffix)) as temporary:
                shutil.copyfile(made.with_suffix(suffix), temporary)
