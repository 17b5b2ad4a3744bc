"""Every overlay in a bundle builds: its network runs, its transforms and losses exist."""

from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigParser

from pipelines.workflows.bundle import Bundle
from pipelines.workflows.check import check_bundle
from pipelines.workflows.required import Kind

ROOTS = sorted(
    path.parent.parent
    for path in (Path(__file__).resolve().parents[2] / "bundles").glob("*/configs/metadata.json")
)
BUNDLES = [Bundle(root.name, root) for root in ROOTS]
VARIANTS = [
    (bundle, overlay)
    for bundle in BUNDLES
    for overlay in bundle.overlays()
    if not overlay.stem.startswith("evaluate")
]
PARTS = ("loss", "train::preprocessing", "validate::preprocessing", "validate::inferer", "inferer")

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*nvImageCodec"),
]


@pytest.mark.parametrize(
    ("bundle", "overlay"), VARIANTS, ids=[f"{b.name}-{o.stem}" for b, o in VARIANTS]
)
def test_a_variant_builds_and_its_network_runs(bundle, overlay, tmp_path):
    trains = not check_bundle(bundle, base=Kind.TRAIN, overlays=[overlay.stem])
    parser = ConfigParser()
    parser.read_config([str(bundle.train if trains else bundle.inference), str(overlay)])
    parser["bundle_root"], parser["dataset_dir"] = str(bundle.root), str(tmp_path)
    network = parser.get_parsed_content("network_def").eval()
    channels = getattr(network, "in_channels", None) or _channels_of(network)
    with torch.inference_mode():
        assert torch.isfinite(network(torch.rand(1, channels, 64, 64))).all()
    for part in PARTS:
        if parser.get(part) is not None:
            assert parser.get_parsed_content(part) is not None


def _channels_of(network):
    return next(p.shape[1] for p in network.parameters() if p.ndim == 4)
