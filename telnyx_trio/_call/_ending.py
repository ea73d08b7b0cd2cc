"""How a call ends: decided once, by whoever is first; what the hangup webhook knows comes later."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import trio

from .._errors import CallEnded
from ..webhooks import CallHangup

Side: TypeAlias = Literal["us", "them"]


class EndReason(enum.Enum):
    """Why a call ended."""

    LEFT = "left"
    """The body of ``async with`` was done."""
    HANGUP = "hangup"
    """``call.hangup`` was called, or the far party hung up."""
    STREAM_STOPPED = "stream stopped"
    """Telnyx sent ``stop`` and no hangup was heard of."""
    CONNECTION_LOST = "connection lost"
    """The media socket went away."""
    SILENCE = "silence"
    """No media message came for the silence timeout, or no ``start``."""
    MAX_DURATION = "maximum duration"
    DETACHED = "detached"
    """``detach`` was called, or the leg was handed over by a transfer, bridge, refer or enqueue."""
    CANCELLED = "cancelled"
    """The scope around the call was cancelled."""
    ERROR = "error"
    """The body, or a task of the call, raised."""


@dataclass(frozen=True)
class CallOutcome:
    """What became of a call.

    Attributes:
        ended_by: "us", or "them" for the far party, Telnyx or the network.
        reason: why.
        duration: seconds from the start of media to the end.
        hangup_cause, hangup_source, sip_hangup_cause: as the ``call.hangup`` webhook words them;
            None if it did not come within a second, or webhooks are not handed to this call.
    """

    ended_by: Side
    reason: EndReason
    duration: float
    hangup_cause: str | None = None
    hangup_source: str | None = None
    sip_hangup_cause: str | None = None

    def __str__(self) -> str:
        cause = f" ({self.hangup_cause})" if self.hangup_cause else ""
        return f"{self.reason.value}{cause} by {self.ended_by} after {self.duration:.1f} s"


_MEDIA_WENT_FIRST: Final = (EndReason.STREAM_STOPPED, EndReason.CONNECTION_LOST)
_NORMAL_AFTER_HANDOVER: Final = (EndReason.STREAM_STOPPED, EndReason.LEFT)


class Ending:
    """The end of one call, before and after it comes.

    Attributes:
        began: set when the call has ended.
        hangup_known: set when the hangup webhook came.
        started_at: when the media started, Trio's time.
    """

    def __init__(self) -> None:
        self.began: Final = trio.Event()
        self.hangup_known: Final = trio.Event()
        self.started_at: float | None = None
        self._side: Side = "us"
        self._reason: EndReason | None = None
        self._ended_at = 0.0
        self._hangup: CallHangup | None = None

    @property
    def is_theirs(self) -> bool:
        """Whether the call ended and we had no part in it."""
        return self._reason is not None and self._side == "them"

    def begin(self, side: Side, reason: EndReason) -> None:
        """Note that the call ends; only the first note counts."""
        if self._reason is None:
            self._side, self._reason = side, reason
            self._ended_at = trio.current_time()
            self.began.set()

    def note_media_ended(self) -> None:
        """Note that the media is over; why, is told by ``explain`` if it was not a ``stop``."""
        self.begin("them", EndReason.STREAM_STOPPED)

    def explain(self, side: Side, reason: EndReason) -> None:
        """Tell why the media ended; it counts unless the call ended for something else."""
        if self._reason is EndReason.STREAM_STOPPED:
            self._side, self._reason = side, reason
        self.begin(side, reason)

    def note_hangup(self, hangup: CallHangup, *, is_ours: bool) -> None:
        """Take the hangup webhook: it ends the call, or tells why it has ended.

        Args:
            hangup: the webhook.
            is_ours: whether it is the answer to our own hangup.
        """
        self._hangup = hangup
        self.hangup_known.set()
        if self._side == "them" and self._reason in _MEDIA_WENT_FIRST and not is_ours:
            # The media socket was quicker, but could not tell why.
            self._reason = EndReason.HANGUP
        self.begin("them", EndReason.HANGUP)

    def outcome(self, *, handed_over: bool) -> CallOutcome | None:
        """Return what is known, None while the call lives.

        Args:
            handed_over: whether the leg belongs to someone else now, so that the end of its media
                is no more than the end of our part.
        """
        if self._reason is None:
            return None
        is_detached = handed_over and self._reason in _NORMAL_AFTER_HANDOVER
        hangup = self._hangup
        started_at = self._ended_at if self.started_at is None else self.started_at
        return CallOutcome(
            ended_by=self._side,
            reason=EndReason.DETACHED if is_detached else self._reason,
            duration=self._ended_at - started_at,
            hangup_cause=hangup.hangup_cause if hangup else None,
            hangup_source=hangup.hangup_source if hangup else None,
            sip_hangup_cause=hangup.sip_hangup_cause if hangup else None,
        )

    def error(self, call_control_id: str) -> CallEnded:
        """Return the error for whoever uses the call after its end."""
        hangup = self._hangup
        return CallEnded(
            call_control_id,
            hangup_cause=hangup.hangup_cause if hangup else None,
            hangup_source=hangup.hangup_source if hangup else None,
            sip_hangup_cause=hangup.sip_hangup_cause if hangup else None,
        )
