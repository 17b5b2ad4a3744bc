"""The faults: what each does to a run, and how a run may end under it."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from faults import Disturbed

Fault: TypeAlias = Callable[["Disturbed"], None]

KILLS_IN_A_CHAIN = 5
TERMINATIONS = 10


def killed(made: "Disturbed") -> None:
    """Kill at random moments: each fifth of the kills alone, the others five to a folder."""
    alone = max(1, made.kills // KILLS_IN_A_CHAIN)
    left = made.kills
    while left:
        in_a_row = 1 if alone else min(left, KILLS_IN_A_CHAIN)
        alone -= alone > 0
        left -= in_a_row
        trial = made.trial()
        for _ in range(in_a_row):
            with trial.started() as process:
                process.rest(made.moment())
                process.kill()
                made.disturbed(trial, process.wait(), expected=["killed"])
        made.finish(trial)


def terminated(made: "Disturbed") -> None:
    """Send SIGTERM at random moments."""
    for _ in range(min(TERMINATIONS, made.kills)):
        trial = made.trial()
        with trial.started() as process:
            process.rest(made.moment())
            process.terminate()
            made.disturbed(trial, process.wait(), expected=["143, told to end"])
        made.finish(trial)


_EVERYWHERE = ("train", "predict", "datalist", "film cache", "engine cache")
FAULTS: Mapping[str, Mapping[str, Fault]] = {
    "kill -9": dict.fromkeys(_EVERYWHERE, killed),
    "SIGTERM": dict.fromkeys(_EVERYWHERE, terminated),
}
"""What is done, by the name of the fault and of the stage."""
