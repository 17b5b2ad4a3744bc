"""How long a run waits for its films: the share of an epoch in which no network could run."""

import time

from ignite.engine import Engine, Events


class Waiting:
    """Seconds that an engine has waited for batches in its present epoch.

    What counts is the time until a batch is there, the start of loader processes and the first
    batch among it; moving it to the device is the engine's own work.

    Attributes:
        seconds: Waited since the epoch began.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._began = time.perf_counter()
        self._since: float | None = None

    def attach(self, engine: Engine) -> None:
        """Register for the engine's epochs and batches, behind what else it does at their start."""
        engine.add_event_handler(Events.EPOCH_STARTED, self._start)
        engine.add_event_handler(Events.GET_BATCH_STARTED, self._ask)
        engine.add_event_handler(Events.GET_BATCH_COMPLETED, self._receive)

    def percent(self, *others: "Waiting") -> float:
        """Return the share of the epoch so far in which this engine, or another inside it, waited.

        Args:
            others: Of engines that ran within the epoch, such as a validation.

        Returns:
            0 to 100.
        """
        waited = self.seconds + sum(other.seconds for other in others)
        return 100 * waited / max(time.perf_counter() - self._began, 1e-9)

    def _start(self) -> None:
        # The first epoch's loader is started before the first batch is asked for.
        self.seconds = 0.0
        self._began = self._since = time.perf_counter()

    def _ask(self) -> None:
        if self._since is None:
            self._since = time.perf_counter()

    def _receive(self) -> None:
        if self._since is not None:
            self.seconds += time.perf_counter() - self._since
            self._since = None
