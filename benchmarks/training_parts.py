"""Core time of the parts of a training step against what the model zoo's bundles do.

A step of a classifier (forward, backward, optimizer) in the precision, layout and memory of the
trainer against the classification template's, and the loss of overlapping masks against MONAI's
`DiceLoss` with torch's cross entropy, value and gradient. Each side has a process of its own and
one core, and counts seconds of that core, so that what else the machine does hardly matters. Run it
from the repository root:

    python benchmarks/training_parts.py [--repeats 3]
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import measuring

NETWORKS = {"densenet121": ("DenseNet121", 192), "efficientnet_b0": ("EfficientNet-B0", 224)}
BATCH = 16
MASKS = (2, 29, 512, 512)
TARGETS = {"densenet121": 1.8, "efficientnet_b0": 1.8, "loss": 1.8}


def main() -> None:
    """Measure every part and print the table, or measure one in this process."""
    options = _options()
    if options.side:
        print(json.dumps(measured(options)))
        return
    os.environ["OMP_NUM_THREADS"] = "1"
    figures = []
    for part in TARGETS:
        ours, peer = (
            measuring.in_own_process(
                __file__, "--part", part, "--side", side, "--repeats", str(options.repeats)
            )
            for side in ("ours", "peer")
        )
        figures.append(figure(part, ours, peer))
    measuring.report(figures, options.json)


def _options() -> argparse.Namespace:
    parser = measuring.arguments(__doc__)
    parser.add_argument("--part", choices=TARGETS, help=argparse.SUPPRESS)
    parser.add_argument("--side", choices=("ours", "peer"), help=argparse.SUPPRESS)
    return parser.parse_args()


def figure(part: str, ours: dict[str, float], peer: dict[str, float]) -> measuring.Figure:
    """Compare the two sides of a part."""
    if part == "loss":
        name, who = "loss of 29 masks, 512 px", "MONAI's Dice and torch's cross entropy"
    else:
        name, who = "training step, {}, {} px".format(*NETWORKS[part]), "model-zoo template"
    return measuring.Figure(
        name=f"{name}, on one core",
        unit="ms/film",
        ours=ours["milliseconds"],
        peer=peer["milliseconds"],
        peer_name=who,
        ratio=peer["milliseconds"] / ours["milliseconds"],
        of="peer / ours",
        target=TARGETS[part],
        peak_megabytes=ours["peak"],
    )


def measured(options: argparse.Namespace) -> dict[str, float]:
    """Run a side of a part: warm up twice, then take the median of its core time."""
    run, films = (loss if options.part == "loss" else step)(options.part, options.side)
    taken = []
    for _ in range(options.repeats + 2):
        started = time.process_time()
        run()
        taken.append(time.process_time() - started)
    median = statistics.median(taken[2:])
    return {"milliseconds": 1000 * median / films, "peak": measuring.peak_megabytes()}


def step(network: str, side: str) -> tuple[Callable[[], Any], int]:
    """Make a step of one side, and say of how many films."""
    import torch

    size = NETWORKS[network][1]
    films, labels = torch.rand(BATCH, 1, size, size), torch.arange(BATCH) % 2
    make = ours if side == "ours" else peer
    return make(network, films, labels), BATCH


def ours(network: str, films: Any, labels: Any) -> Callable[[], Any]:
    """Make the step that the trainer takes on a CPU."""
    import torch

    from pipelines.networks.classifiers import build_classifier
    from pipelines.networks.device import autocast, trains_quicker_in_half
    from pipelines.training.losses import BinaryLoss
    from pipelines.training.memory import keep_memory

    keep_memory()
    device = torch.device("cpu")
    made = build_classifier(network, in_channels=1, out_channels=1)
    made = made.to(memory_format=torch.channels_last)
    films = films.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(made.parameters(), fused=True)
    judge = BinaryLoss()
    half = trains_quicker_in_half(made, device)

    def run() -> None:
        optimizer.zero_grad(set_to_none=True)
        with autocast(device, enabled=half):
            value = judge(made(films), labels)
        value.backward()
        optimizer.step()

    return run


def peer(network: str, films: Any, labels: Any) -> Callable[[], Any]:
    """Make the step that the classification template takes."""
    import torch
    from monai.networks.nets import DenseNet121, EfficientNetBN

    size = {"spatial_dims": 2, "in_channels": 1}
    made = (
        DenseNet121(**size, out_channels=2)
        if network == "densenet121"
        else EfficientNetBN("efficientnet-b0", **size, num_classes=2, pretrained=False)
    )
    optimizer = torch.optim.Adam(made.parameters(), lr=1e-3)
    judge = torch.nn.CrossEntropyLoss(reduction="sum")

    def run() -> None:
        optimizer.zero_grad()
        judge(made(films), labels).backward()
        optimizer.step()

    return run


def loss(_: str, side: str) -> tuple[Callable[[], Any], int]:
    """Make value and gradient of the loss of masks of one side, and say of how many films."""
    import torch
    from monai.losses import DiceLoss
    from torch.nn import BCEWithLogitsLoss

    from pipelines.training.segmentation_losses import LayerLoss

    # As they come: labels channel by channel, logits in half precision pixel by pixel.
    labels = (torch.rand(MASKS) > 0.9).byte()
    logits = torch.randn(MASKS).bfloat16().to(memory_format=torch.channels_last).requires_grad_()
    dice, entropy, layer = DiceLoss(sigmoid=True, batch=True), BCEWithLogitsLoss(), LayerLoss()

    def run() -> None:
        if side == "ours":
            layer(logits, labels).backward()
            return
        precise, truth = logits.float(), labels.float()
        (dice(precise, truth) + layer.pixel_weight * entropy(precise, truth)).backward()

    return run, MASKS[0]


if __name__ == "__main__":
    main()
