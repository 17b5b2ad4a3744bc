import pickle

import pytest

from pipelines.errors import (
    ConfigurationError,
    InputError,
    Outcome,
    PlainfilmError,
    Reason,
    refusal_behind,
    refusal_of,
)


def wrapped(error, times=2):
    """Chain an error behind others as MONAI does."""
    for _ in range(times):
        outer = RuntimeError("applying transform")
        outer.__cause__ = error
        error = outer
    return error


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_is_skipped_or_failed_and_reads_as_a_word(reason):
    assert reason.outcome in Outcome
    assert reason.value.replace("_", "").isalpha()


def test_nothing_is_wrong_with_what_is_skipped():
    skipped = {reason for reason in Reason if reason.outcome is Outcome.SKIPPED}
    assert Reason.DUPLICATE in skipped
    assert Reason.TRUNCATED not in skipped


@pytest.mark.parametrize("kind", [InputError, ConfigurationError])
def test_errors_cross_to_other_processes_with_their_reason(kind):
    error = pickle.loads(pickle.dumps(kind(Reason.TOO_LARGE, "too large")))
    assert type(error) is kind
    assert (error.reason, str(error)) == (Reason.TOO_LARGE, "too large")


def test_refusal_is_found_behind_what_wraps_it():
    refusal = InputError(Reason.TRUNCATED, "cut")
    assert refusal_behind(wrapped(refusal)) is refusal
    assert refusal_of(wrapped(refusal)) is refusal
    assert refusal_behind(wrapped(KeyError("x"))) is None
    assert refusal_behind(None) is None


def test_unexpected_error_is_named_by_its_kind_and_quotes_nothing():
    refusal = refusal_of(wrapped(ValueError("CANARY^NAME")))
    assert isinstance(refusal, PlainfilmError)
    assert refusal.reason is Reason.INTERNAL
    assert "ValueError" in str(refusal)
    assert "CANARY" not in str(refusal)
