"""Several batches at once: each core of a CPU runs the network by itself.

PyTorch by default spreads every operation over all cores, which then wait for one another in a busy
loop hundreds of times a batch. Beside threads that decode films this wastes more than half of the
machine; one thread a batch has nobody to wait for.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

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
    with ThreadPoolExecutor(at_once) as pool:
        for batch in batches:
            running.append(pool.submit(function, batch))
            if len(running) > at_once:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


@contextmanager
def one_thread_an_operation(*, enabled: bool) -> Iterator[None]:
    """Let each PyTorch operation run in one thread, here and in threads that begin from now on."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if enabled else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
