"""Films are read ahead by a few threads, within a time limit, while the network runs."""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from pipelines.errors import InputError, PlainfilmError, Reason, refusal_of
from pipelines.inference.prepared import PreparedFilm
from pipelines.inference.settings import positive, whole_number
from pipelines.networks.device import usable_cores

Task = TypeVar("Task")
Outcome: TypeAlias = PreparedFilm | PlainfilmError
"""A prepared film, or the reason why there is none."""

_MOST_THREADS = 8
_LOOK_SECONDS = 0.5  # how often the time limit is looked at when nothing else happens


@dataclass(frozen=True, slots=True)
class ReaderPool:
    """Threads that read and prepare films ahead of the network.

    Threads and not processes, because decoders, NumPy and OpenCV let go of the interpreter lock,
    and a process costs seconds and hundreds of megabytes before its first film.

    A film that takes longer than the limit is refused as TOO_SLOW and its thread is left behind,
    since a thread cannot be stopped from outside: it ends with the film (whose result is dropped)
    or with the process. Another thread takes its place at once.

    Left to itself it takes eight threads at most: each may hold one of the largest films that are
    let through, about 600 MB while it is decoded, and on a machine of many cores a thread a core
    could need tens of gigabytes.

    Attributes:
        threads: Number of readers; None takes one for each core that this process may use, at
            most eight.
        ahead: How many prepared films may wait for the network, so that memory stays bounded.
        seconds_per_film: Time limit of reading and preparing one film, on the wall clock.
    """

    threads: int | None = None
    ahead: int = 32
    seconds_per_film: float = 20.0

    def __post_init__(self) -> None:
        """Hold each number against its rule.

        Raises:
            ConfigurationError: If one breaks it.
        """
        if self.threads is not None:
            whole_number("reader.threads", self.threads)
        whole_number("reader.ahead", self.ahead)
        positive("reader.seconds_per_film", self.seconds_per_film)

    def read(
        self, load: Callable[[Task], PreparedFilm], tasks: Iterable[Task]
    ) -> Iterator[tuple[Task, Outcome]]:
        """Load every task; what is ready first comes first.

        Args:
            load: Reads and prepares one film; it runs in the threads.
            tasks: What to load; the threads take from it as they have room, one at a time.

        Yields:
            Each task exactly once, with its film or the reason why there is none.
        """
        threads = self.threads or min(usable_cores(), _MOST_THREADS)
        crew = _Crew(load, tasks, room=max(self.ahead, threads))
        crew.hire(threads)
        done = 0
        try:
            while not crew.finished(done):
                for each in crew.overdue(self.seconds_per_film) or crew.ready():
                    done += 1
                    yield each
        finally:
            crew.dismiss()


class _Reader(threading.Thread, Generic[Task]):
    """One thread, and what it is at.

    Attributes:
        task: What it loads.
        since: When it began to, on the monotonic clock; None between two tasks.
    """

    def __init__(self, crew: "_Crew[Task]") -> None:
        super().__init__(name="film-reader", daemon=True)
        self._crew = crew
        self.task: Task
        self.since: float | None = None

    def run(self) -> None:
        """Load one task after the other until there is none left, or one took too long."""
        while self._crew.begin(self):
            outcome: Outcome
            try:
                outcome = self._crew.load(self.task)
            except Exception as error:  # noqa: BLE001 - one bad film never stops a batch
                outcome = refusal_of(error)
            if not self._crew.finish(self):
                return
            self._crew.results.put((self.task, outcome))


class _Crew(Generic[Task]):
    """The readers of one batch and what they share."""

    def __init__(
        self, load: Callable[[Task], PreparedFilm], tasks: Iterable[Task], *, room: int
    ) -> None:
        self.load = load
        self.results: queue.Queue[tuple[Task, Outcome] | None] = queue.Queue(room)
        self._tasks = iter(tasks)
        self._begun = 0
        self._all_begun = False
        self._failure: Exception | None = None
        self._lock = threading.Lock()
        self._readers: set[_Reader[Task]] = set()

    def hire(self, threads: int) -> None:
        """Start more readers."""
        for _ in range(threads):
            reader = _Reader(self)
            self._readers.add(reader)
            reader.start()

    def dismiss(self) -> None:
        """Let every reader end after the film it is at."""
        with self._lock:
            self._tasks = iter(())
        while not self.results.empty():
            self.results.get_nowait()  # a reader may be waiting for room

    def begin(self, reader: _Reader[Task]) -> bool:
        """Give a reader its next task; False when there is none left."""
        with self._lock:
            try:
                for task in self._tasks:
                    reader.task, reader.since = task, time.monotonic()
                    self._begun += 1
                    return True
            except Exception as error:  # noqa: BLE001 - raised where the results are taken
                self._failure, self._tasks = error, iter(())
            self._all_begun = True
        with suppress(queue.Full):
            self.results.put_nowait(None)  # who waits for results shall look again
        return False

    def finished(self, done: int) -> bool:
        """Whether there is nothing to wait for after `done` results.

        Raises:
            Exception: What the tasks raised when one was taken from them.
        """
        with self._lock:
            if self._failure is not None:
                raise self._failure
            return self._all_begun and done == self._begun

    def finish(self, reader: _Reader[Task]) -> bool:
        """End a reader's task; False when it took too long and has been refused already."""
        with self._lock:
            reader.since = None
            return reader in self._readers

    def ready(self) -> list[tuple[Task, Outcome]]:
        """Return what is ready, or nothing after a short wait."""
        try:
            result = self.results.get(timeout=_LOOK_SECONDS)
        except queue.Empty:
            return []
        return [] if result is None else [result]

    def overdue(self, limit: float) -> list[tuple[Task, Outcome]]:
        """Refuse what takes longer than `limit` seconds and replace the readers that are at it."""
        now = time.monotonic()
        with self._lock:
            late = [r for r in self._readers if r.since is not None and now - r.since > limit]
            self._readers.difference_update(late)
        self.hire(len(late))
        refusal = InputError(
            Reason.TOO_SLOW,
            f"expected a film that is read within {limit:g} s, got one that takes longer; "
            "raise the limit with --set reader.seconds_per_film=SECONDS",
        )
        return [(reader.task, refusal) for reader in late]
