"""Exported networks of unknown origin, looked at without running them: ONNX and OpenVINO.

Both are graphs of operations that their runtimes bring along, and no programs. What a runtime
would fetch from elsewhere (weights in other files, operations of other libraries) and what could
go on without end (loops, conditions) is refused: each operation has to be on a closed list.
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipelines.deploy.packages.contents import DamagedFileError, require_size
from pipelines.errors import ConfigurationError, Reason

MOST_NETWORK_BYTES = 2_000_000_000
_MOST_GRAPH_BYTES = 500_000_000
_AN_ONNX = "an ONNX network"
_AN_OPENVINO = "an OpenVINO network"

_BOTH = """
Abs Add BatchNormInference Clamp Concat Divide Elu Equal Erf Exp Floor Gather GatherND Gelu Greater
Less Log MatMul MaxPool Maximum Minimum Mod Multiply Pad Power Range ReduceMax ReduceMean
ReduceMin ReduceSum Reshape Round Sigmoid Slice Split Sqrt Squeeze Subtract Swish Tanh Tile
Transpose Unsqueeze DepthToSpace SpaceToDepth GroupNormalization
"""
_ONNX = frozenset(
    f"""{_BOTH}
    And AveragePool BatchNormalization Cast CastLike Ceil Clip Constant ConstantOfShape Conv
    ConvTranspose DequantizeLinear Div Dropout Einsum Expand Flatten Gemm GlobalAveragePool
    GlobalMaxPool HardSigmoid HardSwish Identity InstanceNormalization LayerNormalization LeakyRelu
    Max Mean Min Mul Neg Not Or Pow PRelu QuantizeLinear Reciprocal Relu Resize ScatterND Selu
    Shape Size Softmax Softplus Sub Sum Where GreaterOrEqual LessOrEqual
    """.split()
)
_OPENVINO = frozenset(
    f"""{_BOTH}
    AvgPool Broadcast Ceiling Const Convert ConvertLike Convolution ConvolutionBackpropData
    FakeQuantize FloorMod GreaterEqual GroupConvolution GroupConvolutionBackpropData HSigmoid HSwish
    HardSigmoid LessEqual LogicalAnd LogicalNot LogicalOr MVN Negative NormalizeL2 PReLU
    Parameter ReLU Result ScatterNDUpdate Select Selu ShapeOf SoftMax SoftPlus StridedSlice
    VariadicSplit Interpolate
    """.split()
)


def read_onnx(path: Path) -> Any:
    """Read an ONNX file, and nothing that it may name.

    Args:
        path: The file.

    Returns:
        Its `onnx.ModelProto`.

    Raises:
        ConfigurationError: If it is too large.
        DamagedFileError: If it is no such file.
    """
    _require_network_size(path)
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        model = onnx.load(path, load_external_data=False)
    except (DecodeError, ValueError, OSError) as error:
        raise DamagedFileError(_AN_ONNX, type(error).__name__) from error
    if not model.graph.node:
        raise DamagedFileError(_AN_ONNX)
    return model


def onnx_complaints(model: Any) -> Iterator[str]:
    """Say what in an ONNX network is not a plain graph.

    Args:
        model: What `read_onnx` gives.

    Yields:
        A complaint a kind of thing.
    """
    graph = model.graph
    if any(each.data_location or each.external_data for each in graph.initializer):
        yield "expected weights inside the file, got some that lie in others"
    if graph.sparse_initializer or model.functions or model.training_info:
        yield "expected a graph alone, got sparse weights, functions or training"
    if len(graph.input) != 1 or len(graph.output) != 1:
        yield f"expected one input and one output, got {len(graph.input)} and {len(graph.output)}"
    if any(node.domain not in {"", "ai.onnx"} for node in graph.node):
        yield "expected operations of ONNX alone, got some of another library"
    yield from _strange({node.op_type for node in graph.node} - _ONNX)
    yield from _held_tensors(graph)


def _held_tensors(graph: Any) -> Iterator[str]:
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g") or attribute.graphs:
                yield "expected one graph, got another one inside"
            if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
                yield "expected plain constants, got sparse ones"
            if any(each.data_location or each.external_data for each in _tensors(attribute)):
                yield "expected constants inside the file, got some that lie in others"


def _tensors(attribute: Any) -> Iterator[Any]:
    yield attribute.t
    yield from attribute.tensors


def read_openvino(path: Path) -> ET.Element:
    """Read the XML of an OpenVINO network.

    Args:
        path: The `.xml` file.

    Returns:
        Its root element.

    Raises:
        ConfigurationError: If it is too large.
        DamagedFileError: If it is no such file.
    """
    if path.stat().st_size > _MOST_GRAPH_BYTES:
        require_size(path.stat().st_size)
    content = path.read_bytes()
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content or b"\0" in content[:4096]:
        raise DamagedFileError(_AN_OPENVINO)
    try:
        root = ET.fromstring(content)
    except (ET.ParseError, ValueError) as error:
        raise DamagedFileError(_AN_OPENVINO, type(error).__name__) from error
    if root.tag != "net" or root.find("layers") is None:
        raise DamagedFileError(_AN_OPENVINO)
    return root


def openvino_complaints(root: ET.Element, weights: Path) -> Iterator[str]:
    """Say what in an OpenVINO network is not a plain graph.

    Args:
        root: What `read_openvino` gives.
        weights: Its `.bin`.

    Yields:
        A complaint a kind of thing.
    """
    if not weights.is_file():
        yield f"expected the weights in {weights.name} beside it, found no such file"
        return
    size = weights.stat().st_size
    if size > MOST_NETWORK_BYTES:
        yield f"expected weights of at most {MOST_NETWORK_BYTES} bytes, got {size}"
    layers = root.findall("layers/layer")
    kinds = [layer.get("type", "") for layer in layers]
    if kinds.count("Parameter") != 1 or kinds.count("Result") != 1:
        yield "expected one input and one output, got another number"
    if any(not layer.get("version", "").startswith("opset") for layer in layers):
        yield "expected operations of OpenVINO alone, got some of another library"
    yield from _strange(set(kinds) - _OPENVINO)
    if any(_reaches_beyond(data, size) for data in root.iter("data")):
        yield f"expected weights within {weights.name}, got some beyond its end; it was cut short"


def _reaches_beyond(data: ET.Element, size: int) -> bool:
    if "offset" not in data.attrib:
        return False
    try:
        offset, length = int(data.get("offset", "")), int(data.get("size", ""))
    except ValueError:
        return True
    return offset < 0 or length < 0 or offset + length > size


def _strange(operations: set[str]) -> Iterator[str]:
    if operations:
        named = ", ".join(sorted(operations)[:3])
        yield (
            f"the operation {named[:80]!r} is not on the list of what an exported network may use "
            "(pipelines/deploy/packages/network_files.py)"
        )


def _require_network_size(path: Path) -> None:
    size = path.stat().st_size
    if size > MOST_NETWORK_BYTES:
        raise ConfigurationError(
            Reason.TOO_LARGE, f"expected at most {MOST_NETWORK_BYTES} bytes, got {size}"
        )
