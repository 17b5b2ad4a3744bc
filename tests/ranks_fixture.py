"""Processes that train together, as torchrun would start them, forked from what is imported."""

import os
import pickle
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from process_fixture import context


def in_ranks(
    function: Callable[..., Any], *arguments: object, folder: Path, count: int = 2
) -> list[Any]:
    """Run a function of a test module in joined processes; return by rank what each returned.

    Args:
        function: Takes `arguments`.
        arguments: What can be pickled.
        folder: An empty or new folder, for where they meet and what they return.
        count: How many.
    """
    folder.mkdir(parents=True, exist_ok=True)
    processes = [
        context.Process(target=_run, args=(rank, count, folder, function, arguments))
        for rank in range(count)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        process.kill()
    returned = [folder / f"returned-{rank}" for rank in range(count)]
    return [pickle.loads(path.read_bytes()) if path.exists() else None for path in returned]


def _run(
    rank: int, count: int, folder: Path, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    import torch

    from pipelines.training.ranks import join_ranks

    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(count), "GLOO_SOCKET_IFNAME": "lo"}
    join_ranks("cpu", meeting_point=f"file://{folder / 'meeting'}")
    try:
        returned = function(*arguments)
    except BaseException as error:  # noqa: BLE001 - the test looks at it
        traceback.print_exc()
        returned = error
    path = folder / f"returned-{rank}"
    path.with_suffix(".part").write_bytes(pickle.dumps(returned))
    path.with_suffix(".part").rename(path)
