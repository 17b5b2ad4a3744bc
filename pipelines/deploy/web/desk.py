"""Where films are answered: one at a time; a few may wait, and who finds no room is told so."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from pipelines.deploy.web.request_errors import BusyError
from pipelines.errors import PlainfilmError
from pipelines.inference.reading import ReaderPool

Result = TypeVar("Result")

_MOST_LEFT_BEHIND = 2


class Desk:
    """Hands out places, and does the work of who holds one.

    A place is taken before a body is received, so that no more films than there are places are in
    memory.

    Args:
        places: How many there are.
    """

    def __init__(self, places: int) -> None:
        self.places = places
        self.taken = 0
        self._turn = asyncio.Lock()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="film-answer")

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold a place.

        Yields:
            Nothing; the block receives, reads and answers one film.

        Raises:
            BusyError: If all are taken.
        """
        if self.taken >= self.places:
            raise BusyError(f"{self.taken} that are being answered or wait")
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1

    async def work(self, function: Callable[[], Result], request: Request) -> Result:
        """Do something that takes time, when its turn has come.

        Args:
            function: What is done, in a thread.
            request: For whom; if that client has gone by then, nothing is done.

        Returns:
            What `function` gives.

        Raises:
            ClientDisconnect: If the client has gone.
        """
        async with self._turn:
            if await request.is_disconnected():
                raise ClientDisconnect
            return await asyncio.get_running_loop().run_in_executor(self._worker, function)

    def close(self) -> None:
        """Take on no more work."""
        self._worker.shutdown(wait=False, cancel_futures=True)


class TimedReading:
    """Reads a film within a time limit, as `predict` does.

    A thread that takes too long cannot be stopped from outside and is left behind; while several
    of those are at work, no other film is taken.
    """

    def __init__(self) -> None:
        self._at_work = 0
        self._lock = threading.Lock()

    def __call__(self, load: Callable[[], Any], *, seconds: float) -> Any:
        """Read a film.

        Args:
            load: Reads and prepares it; it runs in a thread of its own.
            seconds: How long it may take.

        Returns:
            What `load` gives.

        Raises:
            BusyError: If too many films that took too long are still being read.
            PlainfilmError: Why the film cannot be read, or TOO_SLOW.
        """
        with self._lock:
            if self._at_work > _MOST_LEFT_BEHIND:
                raise BusyError("films that take long to read")
            self._at_work += 1
        pool = ReaderPool(threads=1, ahead=1, seconds_per_film=seconds)
        ((_, outcome),) = pool.read(lambda _: self._counted(load), [None])
        if isinstance(outcome, PlainfilmError):
            raise outcome
        return outcome

    def _counted(self, load: Callable[[], Any]) -> Any:
        try:
            return load()
        finally:
            with self._lock:
                self._at_work -= 1
