"""Several batches at once: each core of a CPU runs the network by itself.

PyTorch by default spreads every operation over all cores, which then wait for one another in a busy
loop hundreds of times a batch. Beside threads that decode films this wastes more than half of the
machine; one thread a batch has nobody to wait for.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import torch

from pipelines.networks.device import usable_cores

Batch = TypeVar("Batch")
Answer = TypeVar("Answer")


def overlapped(
    function: Callable[[Batch], Answer], batches: Iterable[Batch], *, at_once: int
) -> Iterator[Answer]:
    """Apply a function to batches in threads; answers come in the order of the batches.

    Args:
        function: What to apply.
        batches: Taken from only as batches are done.
        at_once: How many run at the same time; one more waits, so that no thread does.

    Yields:
        One answer a batch.
    """
    running: deque[Future[Answer]] = deque()
    # Said by each thread: another one may have said something else for all that begin from now on.
    threads = partial(torch.set_num_threads, 1) if at_once > 1 else None
    with _cores.taken(), ThreadPoolExecutor(at_once, initializer=threads) as pool:
        for batch in batches:
            running.append(pool.submit(function, batch))
            if len(running) > at_once:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


class _Cores:
    """Whether batches are running in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.users = 0

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Count who uses all cores while the block runs."""
        with self._lock:
            self.users += 1
        try:
            yield
        finally:
            with self._lock:
                self.users -= 1


_cores = _Cores()


def take_free_cores() -> None:
    """Let PyTorch's operations in this thread use all cores, or one while batches are running.

    Beside batches, operations on several cores would wait for one another in a busy loop.
    """
    torch.set_num_threads(1 if _cores.users else usable_cores())


def in_passing_thread(function: Callable[[], Answer]) -> Answer:
    """Run what loads networks in a thread that ends with it.

    On a CPU each thread that has used PyTorch keeps helpers of its own. While there are more of
    those than cores, all of them sleep between two operations, where they would wait in a busy loop
    for some microseconds: one film in a service then takes twice as long.

    Args:
        function: What to run.

    Returns:
        What it returns.
    """
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


@contextmanager
def one_thread_an_operation(*, enabled: bool) -> Iterator[None]:
    """Let each PyTorch operation run in one thread, here and in threads that begin from now on."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if enabled else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
