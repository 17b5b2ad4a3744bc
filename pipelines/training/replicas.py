"""One network in several processes: gradients are averaged, and everything else stays in step."""

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from pipelines.training.ranks import ranks


def with_shared_norms(network: nn.Module, *, wanted: bool) -> nn.Module:
    """Let batch norm take means over the films of all processes: on GPUs, torch has none for CPUs.

    Args:
        network: On its device; changed in place.
        wanted: False leaves it to the films of each process.

    Returns:
        The network; its weights and their names stay as they are.
    """
    if ranks().alone or not wanted or not next(network.parameters()).is_cuda:
        return network
    convert: Callable[[nn.Module], nn.Module] = nn.SyncBatchNorm.convert_sync_batchnorm
    return convert(network)


def replicate(network: nn.Module, try_loss: Callable[[], torch.Tensor]) -> nn.Module:
    """Let the processes of this run train one network, of which the first one's weights count.

    Args:
        network: On its device. Weights that no loss depends on, such as those of a head that an
            encoder has left over, are taken out of training: the processes would wait for them.
        try_loss: Gives the loss of a film.

    Returns:
        What is called in training in place of the network; it exchanges gradients. Where there is
        one process, the network itself.
    """
    group = ranks()
    if group.alone:
        return network
    unused = set.intersection(*group.gather(_unused(network, try_loss)))
    for name, weights in network.named_parameters():
        weights.requires_grad_(weights.requires_grad and name not in unused)
    # Filters of a single channel have two layouts in memory that are the same.
    warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
    # Statistics of batch norm are averaged behind each step, not taken from the first process.
    return DistributedDataParallel(
        network, forward_sync_buffers=False, gradient_as_bucket_view=True
    )


def _unused(network: nn.Module, try_loss: Callable[[], torch.Tensor]) -> set[str]:
    """Return the names of weights that the loss does not depend on; nothing else is changed."""
    trained, state = network.training, torch.get_rng_state()
    network.eval()
    network.zero_grad(set_to_none=True)
    try_loss().backward()  # type: ignore[no-untyped-call]
    unused = {name for name, weights in network.named_parameters() if weights.grad is None}
    network.zero_grad(set_to_none=True)
    network.train(trained)
    torch.set_rng_state(state)
    return unused


def without_exchange(replica: nn.Module, *, now: bool) -> AbstractContextManager[None]:
    """Return a context in which gradients are summed in each process and not exchanged.

    Args:
        replica: From `replicate`.
        now: False exchanges them as usual.
    """
    if now and isinstance(replica, DistributedDataParallel):
        kept_apart: AbstractContextManager[None] = replica.no_sync()
        return kept_apart
    return nullcontext()


def share_state(module: nn.Module) -> None:
    """Give every process the weights and buffers that the first one has."""
    if ranks().alone:
        return
    for value in module.state_dict().values():
        distributed.broadcast(value, src=0)


@torch.no_grad()
def average_statistics(network: nn.Module) -> None:
    """Let every process have the mean over the processes of batch-norm statistics."""
    group = ranks()
    values = [each for each in network.buffers() if each.is_floating_point()]
    if group.alone or not values:
        return
    together = torch.cat([each.reshape(-1).float() for each in values])
    distributed.all_reduce(together)
    together /= group.size
    place = 0
    for value in values:
        value.copy_(together[place : place + value.numel()].view_as(value))
        place += value.numel()
