"""A pause in the loop of Ray Data, which otherwise keeps a core busy while a worker starts anew."""

import time
from typing import Any

from ray.data._internal.execution.execution_callback import ExecutionCallback

_SECONDS = 0.005


class Breath(ExecutionCallback):
    """Sleeps a moment after each step; with tasks at work, Ray Data waits for those anyway."""

    def on_execution_step(self, executor: Any) -> None:
        """Wait for a moment."""
        time.sleep(_SECONDS)
