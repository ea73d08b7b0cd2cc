"""When a command is sent again."""

from __future__ import annotations

import pytest

from telnyx_trio._errors import (
    AuthenticationFailed,
    CallAlreadyEnded,
    CallControlError,
    CallControlRefused,
    CallControlUnreachable,
    RateLimited,
)
from telnyx_trio.call_control._retry import MAX_ATTEMPTS, retry_pause

NOT_SENT = CallControlUnreachable("x", request_sent=False)
NO_REPLY = CallControlUnreachable("x", request_sent=True)
SERVER_ERROR = CallControlRefused("x", 503)
LIMITED = RateLimited("x", 429)


@pytest.mark.parametrize("error", [NOT_SENT, NO_REPLY, SERVER_ERROR, LIMITED])
def test_pauses_double(error: CallControlError) -> None:
    """A repeatable command is tried four times, 0.5, 1 and 2 s apart."""
    pauses = [retry_pause(error, attempt=n, is_repeatable=True) for n in (1, 2, 3, 4)]
    assert pauses == [0.5, 1.0, 2.0, None]


@pytest.mark.parametrize(
    ("error", "again"),
    [(NOT_SENT, True), (LIMITED, True), (NO_REPLY, False), (SERVER_ERROR, False)],
)
def test_dial_is_repeated_only_when_surely_not_taken(error: CallControlError, again: bool) -> None:
    """What might place a second call is not sent again."""
    pause = retry_pause(error, attempt=1, is_repeatable=False)
    assert (pause is not None) is again


@pytest.mark.parametrize(("asked", "expected"), [(3.0, 3.0), (0.0, 0.5), (60.0, 10.0), (None, 0.5)])
def test_rate_limit_is_obeyed_up_to_a_bound(asked: float | None, expected: float) -> None:
    """The wait is what Telnyx asks for, but never longer than 10 s."""
    error = RateLimited("x", 429, retry_after=asked)
    assert retry_pause(error, attempt=1, is_repeatable=True) == expected


@pytest.mark.parametrize(
    "error",
    [
        AuthenticationFailed("x", 401),
        CallAlreadyEnded("x", 422),
        CallControlRefused("x", 422),
        CallControlRefused("x", 302),
        CallControlError("x"),
    ],
)
def test_refusals_are_final(error: CallControlError) -> None:
    """What will fail again is not tried again."""
    assert retry_pause(error, attempt=1, is_repeatable=True) is None


def test_attempts_are_bounded() -> None:
    """Nothing is tried more often than the bound."""
    assert retry_pause(LIMITED, attempt=MAX_ATTEMPTS, is_repeatable=True) is None
