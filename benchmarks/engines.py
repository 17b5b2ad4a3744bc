"""Images a second of the networks alone, engine by engine, against PyTorch as it comes.

DenseNet121 and EfficientNet-B0, random weights, one channel of 224 x 224, batches of 8, one at a
time on each core, as `predict` runs them. The peer is PyTorch in eager float32 with the same
batches. `torch` is the engine of that name: channels last, in the half precision of the CPU. No
reading, no mirror images; one image alone is measured by `plainfilm benchmark`. Run it from the
repository root:

    python benchmarks/engines.py [--repeats 3] [--json FILE]
"""

import copy
import os
import tempfile
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# Before anything starts threads: each batch runs in its own.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import measuring
import torch
from torch import nn

NETWORKS = {"densenet121": "DenseNet121", "efficientnet_b0": "EfficientNet-B0"}
ENGINES = ("onnxruntime", "openvino")
SHAPE = (1, 224, 224)
BATCH = 8
BATCHES_A_CORE = 6


def main() -> None:
    """Measure all engines of both networks and print the table."""
    options = measuring.arguments(__doc__).parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    figures = [each for name in NETWORKS for each in figures_of(name, repeats=options.repeats)]
    measuring.report(figures, options.json)


def figures_of(name: str, *, repeats: int) -> list[measuring.Figure]:
    """Measure the engines of one network."""
    from pipelines.networks.classifiers import build_classifier
    from pipelines.networks.device import usable_cores
    from pipelines.networks.runtimes.onnx_file import to_onnx
    from pipelines.networks.runtimes.opening import open_runtime

    torch.manual_seed(0)
    network = build_classifier(name, in_channels=1, out_channels=1).eval()
    images = torch.randn(BATCH, *SHAPE)
    cores = usable_cores()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        to_onnx(network, path, shape=SHAPE)
        runs = {"eager": eager(network, images), "torch": quick(network, images)}
        for engine in ENGINES:
            runtime = open_runtime(engine, path, at_once=cores)
            runs[engine] = lambda runtime=runtime: runtime(images.numpy())
        speeds = {engine: speed(run, cores=cores, repeats=repeats) for engine, run in runs.items()}
    peer = speeds.pop("eager")
    return [
        measuring.Figure(
            name=f"{NETWORKS[name]} alone, engine `{engine}`",
            unit="images/s",
            ours=ours,
            peer=peer,
            peer_name="PyTorch eager float32",
            ratio=ours / peer,
            of="ours / peer",
            target=1.0,
        )
        for engine, ours in speeds.items()
    ]


def eager(network: nn.Module, images: torch.Tensor) -> Callable[[], object]:
    """PyTorch as it comes."""

    def run() -> object:
        with torch.inference_mode():
            return network(images)

    return run


def quick(network: nn.Module, images: torch.Tensor) -> Callable[[], object]:
    """PyTorch as the engine `torch` has it."""
    from pipelines.networks.device import autocast

    device = torch.device("cpu")
    turned = copy.deepcopy(network).to(memory_format=torch.channels_last)
    films = images.contiguous(memory_format=torch.channels_last)

    def run() -> object:
        with torch.inference_mode(), autocast(device):
            return turned(films)

    return run


def speed(run: Callable[[], object], *, cores: int, repeats: int) -> float:
    """Images a second with a thread on each core."""
    with ThreadPoolExecutor(cores) as pool:

        def all_cores() -> None:
            list(pool.map(lambda _: [run() for _ in range(BATCHES_A_CORE)], range(cores)))

        seconds = measuring.median_seconds(all_cores, repeats=repeats)
    return BATCH * BATCHES_A_CORE * cores / seconds


if __name__ == "__main__":
    main()
