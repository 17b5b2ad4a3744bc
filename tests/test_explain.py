"""Grad-CAM is what its definition says, for every network, and leaves the network alone."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.inferers import SimpleInferer
from monai.networks.nets import DenseNet121, UNet
from PIL import Image
from torch import nn

from pipelines.errors import ConfigurationError, Reason, RunError
from pipelines.inference.engine import Engine
from pipelines.inference.explain import Explainer
from pipelines.inference.folder import prepare
from pipelines.ingest.collect import Item
from pipelines.networks.classifiers import CLASSIFIERS, build_classifier
from pipelines.networks.grad_cam import grad_cam
from pipelines.networks.weights import save_weights
from pipelines.predictions import Classification, Refusal
from pipelines.transforms.chains import efficientnet_preprocessing, radiograph_preprocessing


def tiny(outputs, channels=1):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(channels, 5, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(5, outputs),
    )


def by_definition(network, images, row):
    """A linear layer behind the average: the map is the features weighed by that layer's row."""
    with torch.no_grad():
        features = network[:2](images)
    maps = torch.einsum("k,nkhw->nhw", row, features).relu()
    return (maps / maps.amax((1, 2), keepdim=True).clamp_min(1e-30)).numpy()


@pytest.mark.parametrize("target", [0, 2, [2, 0, 1]])
def test_map_of_a_class_is_that_of_the_definition(target):
    network, images = tiny(3), torch.rand(3, 1, 8, 6)
    rows = network[4].weight.detach()
    heat = grad_cam(network, images, target=target)
    for index, each in enumerate([target] * 3 if isinstance(target, int) else target):
        expected = by_definition(network, images[index : index + 1], rows[each])[0]
        np.testing.assert_allclose(heat[index], expected, atol=1e-5)


@pytest.mark.parametrize(("target", "sign"), [(1, 1), (0, -1)])
def test_one_logit_has_two_sides(target, sign):
    network, images = tiny(1), torch.rand(2, 1, 8, 8)
    row = sign * network[4].weight.detach()[0]
    heat = grad_cam(network, images, target=target)
    np.testing.assert_allclose(heat, by_definition(network, images, row), atol=1e-5)


@pytest.mark.parametrize("bias", [5.0, -5.0])
def test_without_a_target_the_predicted_side_is_explained(bias):
    network, images = tiny(1), torch.rand(1, 1, 8, 8)
    nn.init.constant_(network[4].bias, bias)
    assert np.array_equal(grad_cam(network, images), grad_cam(network, images, target=bias > 0))
    network = tiny(3)
    nn.init.constant_(network[4].bias, 0)
    network[4].bias.data[1] = 9
    assert np.array_equal(grad_cam(network, images), grad_cam(network, images, target=1))


def test_a_layer_by_name_and_maps_are_enlarged():
    network = nn.Sequential(nn.Conv2d(1, 4, 2, stride=2), *tiny(2, channels=4))
    images = torch.rand(2, 1, 16, 8)
    heat = grad_cam(network, images, layer="2")
    assert heat.shape == (2, 16, 8)
    assert np.array_equal(heat, grad_cam(network, images))
    assert not np.allclose(heat, grad_cam(network, images, layer="0"))


@pytest.mark.parametrize("name", [*CLASSIFIERS, "monai"])
def test_every_network_is_explained_and_left_as_it_was(name):
    torch.manual_seed(1)
    if name == "monai":
        network = DenseNet121(spatial_dims=2, in_channels=1, out_channels=1)
    else:
        network = build_classifier(name, in_channels=1, out_channels=1, dropout=0.5)
    network.train()
    network = network.to(memory_format=torch.channels_last)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    images = torch.rand(2, 1, 64, 64)
    heat = np.maximum(grad_cam(network, images, target=0), grad_cam(network, images, target=1))
    assert heat.shape == (2, 64, 64)
    assert heat.dtype == np.float32
    assert heat.min() >= 0
    assert heat.max(axis=(1, 2)) == pytest.approx(1, abs=1e-6)
    assert all(module.training for module in network.modules())
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in network.modules())
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"layer": "4x"}, "has no layer '4x'"),
        ({"layer": "4"}, "expected a layer whose output"),
        ({"target": 2}, "expected classes from 0 to 1"),
        ({"target": [0]}, "one for each of 2 images"),
    ],
)
def test_what_cannot_be_explained_is_named(arguments, said):
    with pytest.raises(ConfigurationError, match=said):
        grad_cam(tiny(1), torch.rand(2, 1, 8, 8), **arguments)
    unet = UNet(2, 1, 1, channels=(2, 4), strides=(2,))
    with pytest.raises(ConfigurationError, match="expected a network with a global average"):
        grad_cam(unet, torch.rand(2, 1, 8, 8))


def film_with_a_spot(path, size=(90, 60), middle=(20, 40)):
    """A dark film, (height, width), with a bright spot."""
    rows, columns = np.ogrid[: size[0], : size[1]]
    spot = (rows - middle[0]) ** 2 + (columns - middle[1]) ** 2 < 8**2
    Image.fromarray((spot * 200 + 20).astype(np.uint8)).save(path)


def spot_engine(folder: Path):
    """A network that says class 1 the surer, the brighter the film is."""
    network = tiny(1)
    nn.init.constant_(network[0].weight, 0.1)
    nn.init.constant_(network[0].bias, 0.0)
    nn.init.constant_(network[4].weight, 1.0)
    save_weights(network, folder / "model.pt")
    return Engine(network, folder / "model.pt", device="cpu", inferer=SimpleInferer(), batch_size=2)


def classification(filename):
    return Classification(filename, 1, "PNEUMONIA", 0.97, {"NORMAL": 0.03, "PNEUMONIA": 0.97})


@pytest.mark.parametrize("chain", [radiograph_preprocessing(32), efficientnet_preprocessing(32)])
def test_pictures_show_the_place_on_the_film(tmp_path, chain):
    source, output = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    film_with_a_spot(source / "a.png")
    engine = spot_engine(tmp_path)
    item = Item(source / "a.png", "sub/a.png")
    film = prepare(chain, item.path, item=item)
    engine(film.image[None])  # in inference mode, as a batch does it
    records = [classification("sub/a.png"), Refusal("b.png", Reason.NOT_FINITE, "x")]
    explainer = Explainer(engine, output)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: explainer([film, film], records), range(4)))
    assert all(answer == records for answer in answers)
    assert [each.name for each in (output / "explanations").rglob("*.png")] == ["a.png.png"]

    picture = np.asarray(Image.open(output / "explanations" / "sub" / "a.png.png"), float)
    film_height, gap, header = 512, 16, 64
    width = round(60 / 90 * film_height)
    plain, covered = (
        picture[header : header + film_height, left : left + width]
        for left in (gap, 2 * gap + width)
    )
    changed = np.abs(covered - plain).sum(-1)
    row, column = np.unravel_index(changed.argmax(), changed.shape)
    scale = film_height / 90
    assert np.hypot(row / scale - 20, column / scale - 40) < 6
    assert np.ptp(plain, axis=-1).max() == 0  # no colour on the film itself


def test_about_and_output_that_cannot_be_written(tmp_path):
    film_with_a_spot(tmp_path / "a.png")
    item = Item(tmp_path / "a.png", "a.png")
    film = prepare(radiograph_preprocessing(32), item.path, item=item)
    (tmp_path / "out").write_text("a file")
    explainer = Explainer(spot_engine(tmp_path), tmp_path / "out")
    assert explainer.about()["explanations"] == "Grad-CAM"
    with pytest.raises(RunError) as raised:
        explainer([film], [classification("a.png")])
    assert raised.value.reason is Reason.OUTPUT_UNWRITABLE


def test_a_film_that_went_away_stops_nothing(tmp_path, caplog):
    film_with_a_spot(tmp_path / "a.png")
    item = Item(tmp_path / "a.png", "a.png")
    film = prepare(radiograph_preprocessing(32), item.path, item=item)
    item.path.unlink()
    Explainer(spot_engine(tmp_path), tmp_path / "out")([film], [classification("a.png")])
    assert "no explanation of 'a.png'" in caplog.text


def test_two_methods_stand_side_by_side_and_say_how_far_they_agree(tmp_path):
    film_with_a_spot(tmp_path / "a.png")
    item = Item(tmp_path / "a.png", "a.png")
    film = prepare(radiograph_preprocessing(32), item.path, item=item)
    explainer = Explainer(spot_engine(tmp_path), tmp_path / "out", method="both")
    (record,) = explainer([film], [classification("a.png")])
    assert record.explanation_agreement > 0.3, "both look at the spot"
    assert explainer.about()["explanations"] == "Grad-CAM and occlusion"
    with Image.open(tmp_path / "out" / "explanations" / "a.png.png") as picture:
        assert picture.width == 3 * round(60 / 90 * 512) + 4 * 16
