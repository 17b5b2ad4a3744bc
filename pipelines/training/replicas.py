"""One network in several processes: gradients are averaged, and everything else stays in step."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from pipelines.training.ranks import ranks


def replicate(network: nn.Module, *, sync_batch_norm: bool) -> tuple[nn.Module, nn.Module]:
    """Let the processes of this run train one network.

    Args:
        network: On its device; the weights of the first process count. Changed in place.
        sync_batch_norm: Whether batch norm takes means over the films of all processes; on GPUs
            only, torch has none for CPUs.

    Returns:
        The network itself, whose names and weights are those of one process, and what is called in
        training in its place; both are the same where there is one process.
    """
    if ranks().alone:
        return network, network
    if sync_batch_norm and next(network.parameters()).is_cuda:
        convert: Callable[[nn.Module], nn.Module] = nn.SyncBatchNorm.convert_sync_batchnorm
        network = convert(network)
    # Statistics of batch norm are averaged behind each step, not taken from the first process.
    replica = DistributedDataParallel(
        network, forward_sync_buffers=False, gradient_as_bucket_view=True
    )
    return network, replica


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
