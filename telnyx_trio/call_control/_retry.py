"""Whether a command is sent again, and after which pause. Pure.

Telnyx ignores a second command with the same ``command_id`` for the same call for 60 s ("Receiving
webhooks for programmable voice"), so a command whose fate is unknown can be repeated. That this
holds for ``dial`` too, which names no call yet, is documented nowhere: two calls might be placed,
so it is repeated only when the first was surely not taken.
"""

from __future__ import annotations

from typing import Final

from .._errors import (
    CallControlError,
    CallControlRefused,
    CallControlUnreachable,
    RateLimited,
)

MAX_ATTEMPTS: Final = 4
"""In all. Telnyx's page on reliability advises three to five."""

FIRST_PAUSE: Final = 0.5
"""Seconds before the second attempt, doubled for each further one. Telnyx's page on commands
advises to send again after 500 ms."""

MAX_PAUSE: Final = 10.0
"""Seconds; a rate limit that asks for more gets this. A caller who is on the line hears the
pause."""


def retry_pause(error: CallControlError, *, attempt: int, is_repeatable: bool) -> float | None:
    """Return the seconds to wait before sending again, None to give up.

    Args:
        error: how the attempt failed.
        attempt: which one it was, from 1.
        is_repeatable: whether sending twice does no harm when the first was taken.
    """
    if attempt >= MAX_ATTEMPTS:
        return None
    pause = FIRST_PAUSE * 2.0 ** (attempt - 1)
    if isinstance(error, RateLimited):
        return min(error.retry_after or pause, MAX_PAUSE)
    if isinstance(error, CallControlUnreachable):
        return pause if is_repeatable or not error.request_sent else None
    if isinstance(error, CallControlRefused) and error.status >= 500:
        return pause if is_repeatable else None
    return None


def has_unknown_fate(error: CallControlError) -> bool:
    """Whether what was asked for may have been done although this came of it."""
    if isinstance(error, CallControlUnreachable):
        return error.request_sent
    if isinstance(error, CallControlRefused):
        return error.status >= 500
    return True  # done, but the reply can't be read
