"""What 8 and 64 GPUs would give, on paper: compute, and what the GPUs tell each other, in a step.

No GPU is used. Work and weights of each network are counted by torch; how quick a GPU and its links
are is assumed, and the assumptions stand below and in the table. A step takes

    compute + norms + what of the exchange of gradients does not fit beside the backward pass

- compute: films a GPU times work a film, forward and backward, over the GPU's speed;
- exchange, a ring within each machine of G GPUs and one over M machines: 2 (G - 1) / G times the
  bytes of the gradients over the link inside, and 2 (M - 1) / M times over the link between;
- norms: two small exchanges a layer of batch norm, which are waited for.

Efficiency is films a second of all GPUs against as many times one GPU with as many films a step.

    python benchmarks/many_gpus.py
"""

from dataclasses import dataclass

BYTES_OF_WEIGHT = 4
"""Gradients are exchanged in float32, under autocast too."""

FORWARD_AND_BACKWARD = 3
"""Operations of a step against those of the forward pass."""

BACKWARD = 2 / 3
"""Part of a step's compute beside which gradients can be exchanged."""

INSIDE = 200e9
"""Bytes a second between GPUs of a machine (NVLink), assumed: half of what is advertised."""

BETWEEN = {"25 Gb/s": 25e9 / 8, "100 Gb/s": 100e9 / 8, "200 Gb/s": 200e9 / 8}
"""Bytes a second of a machine's Ethernet card, at its full rate."""

SECONDS_INSIDE, SECONDS_BETWEEN = 25e-6, 75e-6
"""Of a small exchange within a machine, and between machines, assumed."""

GPUS_OF_MACHINE = 8

ASSUMED = {
    "pneumonia_classification": ("DenseNet121", 20e12),
    "pneumonia_efficientnet_b0": ("EfficientNet-B0", 5e12),
    "hand_bone_segmentation": ("hand UNet", 10e12),
}
"""Operations a second that a GPU reaches with the network of a bundle; small layers wait."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a network asks of a GPU.

    Attributes:
        name: In the table.
        weights: Number of weights.
        norms: Layers of batch norm.
        work: Floating-point operations of a film, forward and backward.
        speed: Operations a second of a GPU with it, assumed.
    """

    name: str
    weights: int
    norms: int
    work: float
    speed: float


@dataclass(frozen=True, slots=True)
class Step:
    """Seconds of a step, part by part."""

    compute: float
    exchange: float
    norms: float

    @property
    def seconds(self) -> float:
        """Of the whole step."""
        return self.compute + self.norms + max(0.0, self.exchange - BACKWARD * self.compute)

    @property
    def efficiency(self) -> float:
        """Against a GPU alone."""
        return self.compute / self.seconds


def step(load: Load, *, films: int, gpus: int, between: float = BETWEEN["100 Gb/s"]) -> Step:
    """Return what a step takes.

    Args:
        load: The network.
        films: Of each GPU.
        gpus: In all; up to 8 stand in one machine, more in machines of 8.
        between: Bytes a second between machines.
    """
    inside = min(gpus, GPUS_OF_MACHINE)
    machines = -(-gpus // GPUS_OF_MACHINE)
    size = load.weights * BYTES_OF_WEIGHT
    exchange = 2 * (inside - 1) / inside * size / INSIDE
    exchange += 2 * (machines - 1) / machines * size / between
    wait = (SECONDS_INSIDE if inside > 1 else 0) + (SECONDS_BETWEEN if machines > 1 else 0)
    return Step(films * load.work / load.speed, exchange, 2 * load.norms * wait)


def main() -> None:
    """Print the table."""
    loads = counted()
    print("| network | weights, MB a step | batch norms | GFLOP a film | assumed TFLOP/s |")
    print("|---|--:|--:|--:|--:|")
    for each in loads:
        size = each.weights * BYTES_OF_WEIGHT / 1e6
        print(
            f"| {each.name} | {each.weights / 1e6:.1f} M, {size:.0f} | {each.norms} | "
            f"{each.work / 1e9:.1f} | {each.speed / 1e12:.0f} |"
        )
    print()
    print(
        "| network | films a GPU | compute, ms | 8 GPUs: exchange, norms, ms; times as fast "
        f"| 64 GPUs, times as fast at {', '.join(BETWEEN)} | exchange at 25 Gb/s, ms |"
    )
    print("|---|--:|--:|--:|--:|--:|")
    for load in loads:
        for films in (4, 32):
            print(_row(load, films))


def _row(load: Load, films: int) -> str:
    eight = step(load, films=films, gpus=8)
    many = [step(load, films=films, gpus=64, between=each) for each in BETWEEN.values()]
    fast = ", ".join(f"{64 * each.efficiency:.0f}" for each in many)
    return (
        f"| {load.name} | {films} | {1e3 * eight.compute:.1f} | {1e3 * eight.exchange:.2f}, "
        f"{1e3 * eight.norms:.1f}; {8 * eight.efficiency:.1f} | {fast} | "
        f"{1e3 * many[0].exchange:.0f} |"
    )


def counted() -> list[Load]:
    """Count the networks of three bundles at the size of their films."""
    from monai.bundle import ConfigParser

    from pipelines.workflows.bundle import find_bundle

    loads = []
    for bundle, (name, speed) in ASSUMED.items():
        parser = ConfigParser()
        parser.read_config(str(find_bundle(bundle).train))
        size = parser.get_parsed_content("image_size")
        network = parser.get_parsed_content("network_def")
        loads.append(count(f"{name}, {size} px", network, size=size, speed=speed))
    return loads


def count(name: str, network: object, *, size: int, speed: float) -> Load:
    """Count weights, norms and operations of a network for a film of one channel."""
    import torch
    from torch import nn
    from torch.utils.flop_counter import FlopCounterMode

    assert isinstance(network, nn.Module)  # noqa: S101 - what the makers give
    norms = sum(isinstance(each, nn.BatchNorm2d) for each in network.modules())
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        network(torch.rand(2, 1, size, size))
    weights = sum(each.numel() for each in network.parameters())
    # Counted backward, torch takes depthwise convolutions for full ones.
    work = FORWARD_AND_BACKWARD * counter.get_total_flops() / 2
    return Load(name, weights, norms, work, speed)


if __name__ == "__main__":
    main()
