"""Commands of a call that wait for what comes of them.

Telnyx's reply to a command says only that it was taken; its outcome is told by webhook, which may
come before the reply. So each of these listens first, then sends, then waits.

The webhooks of two playbacks, or of two gathers, on one leg do not tell which is which. So of each
kind only one is under way at a time here, and the next waits for its turn.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import trio

from .._errors import CallControlError, CallNotAnswered, PlaybackFailed
from .._ring_channel import RingChannel
from ..call_control import hangup_error, new_client_state_tag, tag_client_state
from ..webhooks import (
    CallAnswered,
    CallBridged,
    CallHangup,
    GatherEnded,
    Inbox,
    PlaybackEnded,
    SpeakEnded,
    WebhookEvent,
)
from ._ending import Ending
from ._hold import Hold
from ._listeners import Listeners

if TYPE_CHECKING:
    from ..call_control import TelnyxClient

logger = logging.getLogger("telnyx_trio.call")

UNDO_TIMEOUT: Final = 2.0
"""Seconds that a cancelled command has to stop what it began."""

_HANGUP_PATIENCE: Final = 1.0
"""Seconds between the hangups of two legs that end together."""

_HANGUP: Final = "call_hangup"
_UNHEARD: Final = frozenset({"file_not_found", "failed", "unknown"})


@dataclass(frozen=True)
class GatherResult:
    """What ``call.gather`` collected.

    Attributes:
        digits: that were pressed, without the terminating one; not in the repr, as they may be a
            secret.
        status: "valid"; "invalid": too few, or keys that were not allowed; "timeout"; "cancelled";
            "cancelled_amd". The set is open.
    """

    digits: str
    status: str

    def __repr__(self) -> str:
        return f"<GatherResult {self.status}, {len(self.digits)} digits>"


@dataclass(frozen=True)
class TransferredLeg:
    """The leg that a transfer connected the call to.

    Attributes:
        call_control_id: names it in commands; None where its webhooks did not reach this call.
        call_leg_id: names it.
    """

    call_control_id: str | None
    call_leg_id: str | None


class OutcomeCommands:
    """Gives commands for one call and waits for their outcomes; see the methods of ``Call``.

    Args:
        hold: our hold on the leg, and the REST API.
        ending: how the call ends.
        listeners: the call's webhooks.
        inbox: all webhooks, for those of a leg that a transfer rings; None if there are none.
    """

    def __init__(
        self, hold: Hold, ending: Ending, listeners: Listeners, inbox: Inbox | None
    ) -> None:
        self._hold = hold
        self._ending = ending
        self._listeners = listeners
        self._inbox = inbox
        self._playing = trio.Lock()
        self._gathering = trio.Lock()

    async def speak(self, call_id: str, text: str, fields: dict[str, Any]) -> str:
        """Speak; return the status."""
        client = self._hold.client
        async with self._playing:
            event = await self._outcome(
                call_id,
                partial(client.speak, call_id, text, **fields),
                lambda event: isinstance(event, SpeakEnded),
                undo=partial(client.playback_stop, call_id),
            )
        assert isinstance(event, SpeakEnded)
        return self._played(call_id, event.status, None)

    async def playback(self, call_id: str, fields: dict[str, Any]) -> str:
        """Play a file; return the status."""
        client = self._hold.client
        url, name = fields.get("audio_url"), fields.get("media_name")

        def is_it(event: WebhookEvent) -> bool:
            return (
                isinstance(event, PlaybackEnded)
                and (url is None or event.media_url in (None, url))
                and (name is None or event.media_name in (None, name))
            )

        async with self._playing:
            event = await self._outcome(
                call_id,
                partial(client.playback_start, call_id, **fields),
                is_it,
                undo=partial(client.playback_stop, call_id),
            )
        assert isinstance(event, PlaybackEnded)
        return self._played(call_id, event.status, event.status_detail)

    async def gather(
        self, call_id: str, send: Callable[[TelnyxClient], Awaitable[None]]
    ) -> GatherResult:
        """Collect key presses by the gather command that ``send`` gives."""
        client = self._hold.client
        async with self._gathering:
            event = await self._outcome(
                call_id,
                partial(send, client),
                lambda event: isinstance(event, GatherEnded),
                undo=partial(client.gather_stop, call_id),
            )
        assert isinstance(event, GatherEnded)
        if event.status == _HANGUP:
            raise self._ending.error(call_id)
        return GatherResult(event.digits or "", event.status or "")

    async def bridge(
        self, call_id: str, other_id: str, accepted: Callable[[], None], fields: dict[str, Any]
    ) -> None:
        """Connect to another leg; ``accepted`` is called once Telnyx has taken the command."""
        client = self._hold.client

        async def send() -> None:
            await self._hold.give("bridge", partial(client.bridge, call_id, other_id, **fields))
            accepted()

        await self._outcome(call_id, send, lambda event: isinstance(event, CallBridged))

    async def transfer(self, call_id: str, to: str, fields: dict[str, Any]) -> TransferredLeg:
        """Ring another number and connect to it."""
        client = self._hold.client
        # The new leg has ids of its own, which nobody knows before its first webhook.
        state = tag_client_state(
            new_client_state_tag(), fields.pop("target_leg_client_state", None) or b""
        )
        send = partial(client.transfer, call_id, to, target_leg_client_state=state, **fields)
        with self._listeners.listen() as events:
            sink = events.put
            if self._inbox is not None:
                self._inbox.subscribe(sink, client_state=state)
            try:
                await self._hold.give("transfer", send)
                return await self._wait_transferred(call_id, state, events)
            finally:
                if self._inbox is not None:
                    self._inbox.unsubscribe(sink)

    async def _wait_transferred(
        self, call_id: str, state: str, events: RingChannel[WebhookEvent]
    ) -> TransferredLeg:
        leg = TransferredLeg(None, None)
        is_answered = False
        failure: CallNotAnswered | None = None
        with trio.CancelScope() as patience:
            async for event in events:
                if event.client_state == state:
                    leg = TransferredLeg(event.call_control_id, event.call_leg_id)
                    is_answered |= isinstance(event, CallAnswered)
                    if isinstance(event, CallHangup) and not is_answered:
                        failure = _why_not_taken(event)
                        # It ends this way when our far party gave up; then ours ends as well.
                        gave_up = event.hangup_cause == "originator_cancel"
                        wait = _HANGUP_PATIENCE if gave_up else 0.0
                        patience.deadline = trio.current_time() + wait
                if isinstance(event, CallBridged) or (
                    is_answered and isinstance(event, CallHangup)
                ):
                    return leg
        if patience.cancelled_caught and failure is not None:
            # The call is where it was before.
            self._hold.take_back()
            raise failure
        raise self._ending.error(call_id)

    async def _outcome(
        self,
        call_id: str,
        send: Callable[[], Awaitable[object]],
        is_outcome: Callable[[WebhookEvent], bool],
        undo: Callable[[], Awaitable[object]] | None = None,
    ) -> WebhookEvent:
        """Send a command, and wait for the event that tells its outcome.

        Raises:
            CallEnded: the call ended before it came.
            CallControlError: Telnyx did not take the command.
        Cancelled: ``undo`` is tried, shielded, for at most 2 s.
        """
        with self._listeners.listen() as events:
            try:
                await send()
                async for event in events:
                    if is_outcome(event):
                        return event
            except Exception:
                raise
            except BaseException:
                # A cancellation, or a KeyboardInterrupt, which is none.
                if undo is not None:
                    await _try_to(undo)
                raise
        raise self._ending.error(call_id)

    def _played(self, call_id: str, status: str | None, detail: str | None) -> str:
        if status == _HANGUP:
            raise self._ending.error(call_id)
        if status in _UNHEARD:
            raise PlaybackFailed(call_id, status or "", detail)
        return status or ""


def _why_not_taken(event: CallHangup) -> CallNotAnswered:
    return hangup_error(
        event.call_control_id, event.hangup_cause, event.hangup_source, event.sip_hangup_cause
    )


async def _try_to(undo: Callable[[], Awaitable[object]]) -> None:
    with trio.move_on_after(UNDO_TIMEOUT, shield=True):
        try:
            await undo()
        except CallControlError as error:
            logger.info("could not stop what was cancelled: %s", error)
