"""Several views of a film: outputs of the whole are averaged, maps are turned back first."""

import pytest
import torch
from torch import nn

from pipelines.errors import ConfigurationError
from pipelines.networks.augmented import AugmentedInferer
from pipelines.networks.sliding_window import SlidingWindow


def films(*shape):
    torch.manual_seed(0)
    return torch.randn(*(shape or (3, 1, 6, 6)))


def classifier():
    torch.manual_seed(1)
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 2))


def same(a, b, tolerance=1e-6):
    return a.shape == b.shape and torch.allclose(a, b, atol=tolerance)


def test_without_views_it_is_the_network():
    network = classifier()
    assert torch.equal(AugmentedInferer()(films(), network), network(films()))


def test_film_and_its_mirror_image_get_the_same_answer():
    network, inferer = classifier(), AugmentedInferer(flips=["left_right"])
    answers = inferer(films(), network)
    assert same(answers, inferer(films().flip(3), network))
    assert torch.equal(answers, (network(films()) + network(films().flip(3))) / 2)
    assert answers.dtype == torch.float32


def test_every_flip_and_turn_counts_once():
    network = classifier()
    inferer = AugmentedInferer(flips=["left_right", "up_down"], rotations=[90, 180])
    views = [
        films(),
        films().flip(3),
        films().flip(2),
        films().rot90(1, (2, 3)),
        films().flip(2, 3),
    ]
    assert same(inferer(films(), network), torch.stack([network(v) for v in views]).mean(0))


def test_sides_trade_places_in_the_mirror_image_alone():
    network = classifier()
    swapped = network(films().flip(3)).flip(1)
    inferer = AugmentedInferer(flips=["left_right"], swap_channels=[[0, 1]])
    assert same(inferer(films(), network), (network(films()) + swapped) / 2)
    upright = AugmentedInferer(flips=["up_down"], swap_channels=[[0, 1]])
    assert same(upright(films(), network), (network(films()) + network(films().flip(2))) / 2)


def halves(images):
    """A network of two maps: what is bright on the left, and what is bright on the right."""
    left = torch.zeros_like(images)
    left[..., : images.shape[-1] // 2] = 1
    return torch.cat([images * left, images * (1 - left)], dim=1)


@pytest.mark.parametrize(
    "views",
    [
        {"flips": ["left_right"], "swap_channels": [[0, 1]]},
        {"flips": ["up_down"]},
        {"flips": ["left_right", "up_down"], "swap_channels": [[1, 0]]},
    ],
)
def test_maps_are_turned_back_and_sides_trade_places(views):
    # The halves of a mirror image are the other ones, so only the swap gives the same answer.
    images = films(2, 1, 8, 6)
    assert same(AugmentedInferer(**views)(images, halves), halves(images))


@pytest.mark.parametrize("degrees", [90, -90, 180, 270, 450])
@pytest.mark.parametrize("shape", [(2, 1, 8, 8), (1, 1, 8, 6)])
def test_square_turns_are_exact(degrees, shape):
    images = films(*shape)
    inferer = AugmentedInferer(rotations=[degrees])
    assert torch.equal(inferer(images, nn.Identity()), images)
    seen = []
    inferer(images, lambda view: seen.append(view) or view)
    assert torch.equal(seen[1], images.rot90(degrees // 90, (2, 3)))


def smooth(height=60, width=44):
    rows, columns = torch.meshgrid(
        torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij"
    )
    return (torch.sin(3 * rows) + torch.cos(2 * columns + rows))[None, None]


@pytest.mark.parametrize("degrees", [7.5, -20, 35])
def test_free_turns_give_maps_back_where_the_film_was_seen(degrees):
    images = smooth()
    found = AugmentedInferer(rotations=[degrees])(images, nn.Identity())
    # Corners that were turned out of sight count once; the very edge mixes with what is around.
    assert same(found[..., 2:-2, 2:-2], images[..., 2:-2, 2:-2], 0.03)
    assert same(found[..., :1, :1], images[..., :1, :1])


def test_free_turns_go_the_same_way_as_square_ones_and_bring_in_the_darkest_grey():
    images, seen = smooth(50, 50), []
    AugmentedInferer(rotations=[89.999, 45])(images, lambda view: seen.append(view) or view)
    assert same(seen[1], images.rot90(1, (2, 3)), 0.01)
    assert torch.allclose(seen[2][0, 0, 0, 0], images.min())


def test_network_output_is_not_changed():
    images = films()
    before = images.clone()
    AugmentedInferer(flips=["left_right"], rotations=[10])(images, nn.Identity())
    assert torch.equal(images, before)


@pytest.mark.parametrize(
    "settings",
    [
        {"flips": ["sideways"]},
        {"rotations": [0]},
        {"rotations": [360]},
        {"rotations": ["left"]},
        {"rotations": [True]},
        {"swap_channels": [[0, 1], [1, 2]]},
        {"swap_channels": [[0]]},
        {"swap_channels": [[0, 1, 2]]},
    ],
)
def test_wrong_settings_are_refused(settings):
    with pytest.raises(ConfigurationError, match="expected"):
        AugmentedInferer(**settings)


def test_windows_and_views_together():
    torch.manual_seed(0)
    network = nn.Conv2d(1, 2, 1)  # sees single pixels: windows must not show
    images = films(2, 1, 50, 41)
    for at_once in (None, 2):
        windows = SlidingWindow([16, 24], overlap=0.5, sw_batch_size=at_once)
        assert same(windows(images, network), network(images))
        views = AugmentedInferer(flips=["left_right"], rotations=[180], inferer=windows)
        assert same(views(images, network), network(images))
    small = films(1, 1, 10, 12)
    assert same(SlidingWindow(16)(small, network), network(small))
