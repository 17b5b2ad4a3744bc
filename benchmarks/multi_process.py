"""Training films a second in two processes of one thread each against one process of two threads.

The network of a bundle, its trainer, loss, average of weights and precision, with batches of the
whole run that are equally large on both sides; films are noise in memory. Both sides stand ready
and train some steps in turn, so that what else the machine does falls on both. Run it from the
repository root on a machine that does nothing else:

    python benchmarks/multi_process.py [--network efficientnet_b0] [--batch 32]
"""

import argparse
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import measuring

CORES = 2
NETWORKS = {"densenet121": "DenseNet121", "efficientnet_b0": "EfficientNet-B0"}


@dataclass(frozen=True, slots=True)
class Task:
    """What a process trains.

    Attributes:
        network: Its name.
        size: Side of a film in pixels.
        batch: Films in a batch of the whole run.
        steps: In each turn.
        meeting_point: Where processes meet; None for one alone.
    """

    network: str
    size: int
    batch: int
    steps: int
    meeting_point: str | None = None


def main() -> None:
    """Let both sides train in turn and print the figure."""
    options = _options()
    shape = (options.network, options.size, options.batch, options.steps)
    with tempfile.TemporaryDirectory() as temporary:
        meeting = f"file://{Path(temporary) / 'meeting'}"
        one = [_start(Task(*shape), 0, 1)]
        several = [
            _start(Task(*shape, meeting_point=meeting), rank, CORES) for rank in range(CORES)
        ]
        rates: tuple[list[float], list[float]] = ([], [])
        films = options.batch * options.steps
        for turn in range(options.repeats + 1):
            for found, side in zip(rates, (one, several), strict=True):
                rate = films / _take_turn(side)
                if turn:  # the first one also makes what is kept for the run
                    found.append(rate)
        for process, _ in one + several:
            process.terminate()
            process.join()
    for name, found in zip(("one process", f"{CORES} processes"), rates, strict=True):
        print(f"{name}: {', '.join(f'{each:.1f}' for each in found)} films/s", file=sys.stderr)
    alone, together = map(statistics.median, rates)
    figure = measuring.Figure(
        name=f"training steps, {NETWORKS[options.network]}, {options.size} px, batches of "
        f"{options.batch}, {CORES} processes of a thread each",
        unit="films/s",
        ours=together,
        peer=alone,
        peer_name=f"one process, {CORES} threads",
        ratio=together / alone,
        of="ours / peer",
        target=1.0,
    )
    measuring.report([figure], options.json)


def _options() -> argparse.Namespace:
    parser = measuring.arguments(__doc__)
    parser.set_defaults(repeats=7)
    parser.add_argument("--size", type=int, default=128, help="side; default: %(default)s")
    parser.add_argument("--batch", type=int, default=16, help="of the run; default: %(default)s")
    parser.add_argument("--steps", type=int, default=6, help="in a turn; default: %(default)s")
    parser.add_argument("--network", choices=NETWORKS, default="densenet121")
    return parser.parse_args()


Side = tuple[Any, Connection]


def _start(task: Task, rank: int, processes: int) -> Side:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    os.environ["OMP_NUM_THREADS"] = str(CORES // processes)
    process = context.Process(target=train, args=(task, rank, processes, there), daemon=True)
    process.start()
    return process, here


def _take_turn(side: list[Side]) -> float:
    """Let the processes of a side train their steps; return the seconds of the slowest."""
    for _, line in side:
        line.send("go")
    return max(float(line.recv()) for _, line in side)


def train(task: Task, rank: int, processes: int, line: Connection) -> None:
    """Train without end; begin each turn when told to, and tell how long it took."""
    import torch
    from ignite.engine import Events

    from pipelines.training.ranks import join_ranks

    warnings.simplefilter("ignore")
    torch.set_num_threads(CORES // processes)
    if task.meeting_point is not None:
        os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(processes)}
        if sys.platform.startswith("linux"):
            os.environ["GLOO_SOCKET_IFNAME"] = "lo"
        join_ranks("cpu", meeting_point=task.meeting_point)
    trainer = _trainer(task)
    began = [0.0]

    def wait(engine: Any) -> None:
        if (engine.state.iteration - 1) % task.steps == 0:
            line.recv()
            began[0] = time.perf_counter()

    def tell(engine: Any) -> None:
        if engine.state.iteration % task.steps == 0:
            line.send(time.perf_counter() - began[0])

    trainer.add_event_handler(Events.ITERATION_STARTED, wait)
    trainer.add_event_handler(Events.ITERATION_COMPLETED, tell)
    trainer.run()


def _trainer(task: Task) -> Any:
    """The trainer of the chest bundle on noise."""
    import torch
    from torch.utils.data import TensorDataset

    from pipelines.networks.classifiers import build_classifier
    from pipelines.networks.weights import load_weights
    from pipelines.training.averaging import build_average
    from pipelines.training.loading import FilmLoader
    from pipelines.training.losses import BinaryLoss
    from pipelines.training.sampling import Draw, EpochSampler
    from pipelines.training.trainer import build_trainer

    class Noise(TensorDataset):
        def __getitem__(self, draw: Draw) -> dict[str, torch.Tensor]:
            image, label = super().__getitem__(draw.film)
            return {"image": image, "label": label}

    torch.manual_seed(0)
    count = task.batch * 4
    films = Noise(torch.randn(count, 1, task.size, task.size), torch.arange(count) % 2)
    network = load_weights(build_classifier(task.network, in_channels=1, out_channels=1), None)
    sampler = EpochSampler([{"label": 0}] * count, balance="none")
    return build_trainer(
        10_000,
        device="cpu",
        network=network,
        optimizer=torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True),
        loss_function=BinaryLoss(),
        train_data_loader=FilmLoader(films, sampler=sampler, batch_size=task.batch),
        average=build_average(network, decay=0.995),
    )


if __name__ == "__main__":
    main()
