"""Networks by name: sizes and parameter names as published, and heads as asked for."""

import pytest
import torch
from monai.networks.nets import DenseNet121
from torch import nn

from pipelines.errors import ConfigurationError, Reason
from pipelines.networks.classifiers import CLASSIFIERS, build_classifier
from pipelines.networks.weights import load_weights
from pipelines.workflows.bundle import find_bundle
from pipelines.workflows.components import component_signature
from pipelines.workflows.sources import Sources

# Parameters at 1000 classes and three channels, and entries of the public state dict.
PUBLISHED = {
    "densenet121": (7_978_856, 727),
    "resnet18": (11_689_512, 122),
    "resnet50": (25_557_032, 320),
    "efficientnet_b0": (5_288_548, 360),
    "efficientnet_b1": (7_794_184, 508),
    "efficientnet_b2": (9_109_994, 508),
    "efficientnet_b4": (19_341_616, 706),
    "mobilenet_v2": (3_504_872, 314),
    "mobilenet_v3_small": (2_542_856, 244),
    "mobilenet_v3_large": (5_483_032, 312),
}
NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")

# Names and shapes in torchvision's state dicts, one of each kind of layer.
TORCHVISION = {
    "mobilenet_v2": {
        "features.0.0.weight": (32, 3, 3, 3),
        "features.0.1.running_var": (32,),
        "features.1.conv.0.0.weight": (32, 1, 3, 3),
        "features.1.conv.1.weight": (16, 32, 1, 1),
        "features.1.conv.2.bias": (16,),
        "features.2.conv.0.0.weight": (96, 16, 1, 1),
        "features.2.conv.1.1.running_mean": (96,),
        "features.2.conv.3.weight": (24,),
        "features.17.conv.2.weight": (320, 960, 1, 1),
        "features.18.0.weight": (1280, 320, 1, 1),
        "classifier.1.weight": (1000, 1280),
    },
    "mobilenet_v3_small": {
        "features.1.block.0.0.weight": (16, 1, 3, 3),
        "features.1.block.1.fc1.weight": (8, 16, 1, 1),
        "features.1.block.2.1.weight": (16,),
        "features.4.block.2.fc2.bias": (96,),
        "features.11.block.3.0.weight": (96, 576, 1, 1),
        "features.12.0.weight": (576, 96, 1, 1),
        "classifier.0.weight": (1024, 576),
        "classifier.3.weight": (1000, 1024),
    },
    "mobilenet_v3_large": {
        "features.1.block.1.0.weight": (16, 16, 1, 1),
        "features.4.block.2.fc1.weight": (24, 72, 1, 1),
        "features.7.block.2.0.weight": (80, 240, 1, 1),
        "features.13.block.1.0.weight": (672, 1, 5, 5),
        "features.16.0.weight": (960, 160, 1, 1),
        "classifier.0.weight": (1280, 960),
        "classifier.3.bias": (1000,),
    },
}


def shapes(network):
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}


def convolution(shape, name):
    return {f"{name}.weight": shape}


def norm(channels, name):
    return {f"{name}.{part}": () if part == NORM[-1] else (channels,) for part in NORM}


def torchvision_resnet(layers, *, bottleneck):
    """Names and shapes of torchvision's ResNet, written down from its definition."""
    found = convolution((64, 3, 7, 7), "conv1") | norm(64, "bn1")
    inputs = 64
    for stage, count in enumerate(layers):
        width = 64 * 2**stage
        outputs = width * (4 if bottleneck else 1)
        for index in range(count):
            place = f"layer{stage + 1}.{index}"
            sides = ((1, width), (3, width), (1, outputs)) if bottleneck else ((3, width),) * 2
            into = inputs
            for number, (kernel, channels) in enumerate(sides, 1):
                found |= convolution((channels, into, kernel, kernel), f"{place}.conv{number}")
                found |= norm(channels, f"{place}.bn{number}")
                into = channels
            if index == 0 and (stage or bottleneck):
                found |= convolution((outputs, inputs, 1, 1), f"{place}.downsample.0")
                found |= norm(outputs, f"{place}.downsample.1")
            inputs = outputs
    return found | {"fc.weight": (1000, inputs), "fc.bias": (1000,)}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_size_is_the_published_one(name):
    with torch.device("meta"):
        network = build_classifier(name, in_channels=3, out_channels=1000)
    parameters, entries = PUBLISHED[name]
    assert sum(each.numel() for each in network.parameters()) == parameters
    assert len(network.state_dict()) == entries


@pytest.mark.parametrize(
    ("name", "layers", "bottleneck"),
    [("resnet18", [2, 2, 2, 2], False), ("resnet50", [3, 4, 6, 3], True)],
)
def test_resnet_is_that_of_torchvision(name, layers, bottleneck):
    with torch.device("meta"):
        network = build_classifier(name, in_channels=3, out_channels=1000, dropout=0.5)
    assert shapes(network) == torchvision_resnet(layers, bottleneck=bottleneck)
    strided = {n for n, m in network.named_modules() if getattr(m, "stride", 1) in {2, (2, 2)}}
    convolution = "conv2" if bottleneck else "conv1"  # where version 1.5 has the stride
    expected = {"conv1", "maxpool"}
    for stage in (2, 3, 4):
        place = f"layer{stage}.0"
        expected |= {place, f"{place}.{convolution}", f"{place}.downsample.0"}
    assert strided == expected


@pytest.mark.parametrize("name", TORCHVISION)
def test_mobilenet_has_the_names_of_torchvision(name):
    with torch.device("meta"):
        found = shapes(build_classifier(name, in_channels=3, out_channels=1000))
    assert {each: found.get(each) for each in TORCHVISION[name]} == TORCHVISION[name]


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_one_logit_of_a_grey_image_that_is_no_square(name):
    network = build_classifier(name, in_channels=1, out_channels=1, dropout=0.3, hidden=8).eval()
    with torch.inference_mode():
        logits = network(torch.rand(2, 1, 33, 64))
    assert logits.shape == (2, 1)
    assert torch.isfinite(logits).all()


def test_head_of_b4_has_one_hidden_layer():
    with torch.device("meta"):
        network = build_classifier(
            "efficientnet_b4", in_channels=1, out_channels=1, dropout=0.4, hidden=512
        )
    head = [(each.in_features, each.out_features) for each in linear_layers(network)]
    assert head == [(1792, 512), (512, 1)]


def linear_layers(network):
    return [each for each in network.modules() if isinstance(each, nn.Linear)]


@pytest.mark.parametrize("name", ["densenet121", "resnet18", "efficientnet_b0", "mobilenet_v2"])
def test_dropout_acts_in_training_alone(name):
    network = build_classifier(name, in_channels=1, out_channels=2, dropout=0.5).eval()
    (head,) = linear_layers(network)
    seen = []
    head.register_forward_pre_hook(lambda _layer, inputs: seen.append(inputs[0]))
    image = torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        network(image)
        next(each for each in network.modules() if each.__class__ is nn.Dropout).train()
        network(image)
    kept = seen[1] != 0
    assert kept.sum() < (seen[0] != 0).sum()
    torch.testing.assert_close(seen[1][kept], 2 * seen[0][kept])


def test_shipped_weights_of_densenet_give_the_same_answer():
    weights = find_bundle("pneumonia_classification").weights
    if not weights.is_file():
        pytest.skip("the bundle has no weights in this checkout")
    image = torch.rand(1, 1, 64, 64)
    plain = DenseNet121(spatial_dims=2, in_channels=1, out_channels=1)
    named = build_classifier("densenet121", in_channels=1, out_channels=1)
    with torch.inference_mode():
        expected, found = (load_weights(each, weights).eval()(image) for each in (plain, named))
    assert torch.equal(expected, found)


@pytest.mark.parametrize(
    ("arguments", "reason", "said"),
    [
        ({"name": "resnet_50"}, Reason.UNKNOWN_NAME, "did you mean 'resnet50'?"),
        ({"in_channels": 0}, Reason.CONFIGURATION, "expected in_channels"),
        ({"hidden": 0}, Reason.CONFIGURATION, "expected hidden"),
        ({"dropout": 1.0}, Reason.CONFIGURATION, "expected dropout"),
    ],
)
def test_wrong_arguments_are_named(arguments, reason, said):
    right = {"name": "resnet18", "in_channels": 1, "out_channels": 1}
    with pytest.raises(ConfigurationError, match=said) as raised:
        build_classifier(**(right | arguments))
    assert raised.value.reason is reason


def test_the_static_check_knows_the_arguments():
    signature = component_signature("pipelines.networks.classifiers.build_classifier", Sources())
    assert signature.names == ("name", "in_channels", "out_channels", "dropout", "hidden")
    assert signature.required == {"name", "in_channels", "out_channels"}
    assert not signature.is_open
