"""A leg: one call as a server sees it, from before its media until its end.

Webhooks come by ``deliver``, the media socket by ``offer``; the task that runs the call waits for
them here. Nothing in this file talks to the network, but to close a socket that nobody wants.
"""

from __future__ import annotations

from typing import Final

import trio

from .._registry import TelnyxCall
from .._ring_channel import RingChannel
from .._websocket import WebSocket
from ..webhooks import CallAnswered, CallHangup, StreamingFailed, WebhookEvent
from ._values import CallSummary

EARLY_MEDIA_TIMEOUT: Final = 10.0
"""Seconds that a media socket may wait for the call to which it belongs to be known."""

_POLICY_VIOLATION: Final = 1008
_MAX_WEBHOOKS: Final = 256


class Leg:
    """Where the webhooks and the media socket of one call meet the task that runs it.

    Attributes:
        info: the registry's entry.
        webhooks: the call's webhooks, for ``open_call``.
        identified: set once Telnyx's id of the call is known.
        answered: set once the call is answered.
        hung_up: set once the hangup webhook came.
        hangup: that webhook.
        began_at: Trio's time.
        last_event: kind of the newest webhook.
        media_failed: the streaming.failed webhook, if it came.
        before_media: a scope that is cancelled when no media will come any more.
        scope: everything that the call is; cancelling it ends the call.
    """

    def __init__(self, info: TelnyxCall) -> None:
        self.info: Final = info
        self.webhooks: Final[RingChannel[WebhookEvent]] = RingChannel(_MAX_WEBHOOKS)
        self.identified: Final = trio.Event()
        self.answered: Final = trio.Event()
        self.hung_up: Final = trio.Event()
        self.hangup: CallHangup | None = None
        self.began_at: Final = trio.current_time()
        self.last_event: str | None = None
        self.media_failed: StreamingFailed | None = None
        self.before_media: Final = trio.CancelScope()
        self.scope: Final = trio.CancelScope()
        self._websocket: WebSocket | None = None
        self._offered = trio.Event()
        self._wanted = trio.Event()
        self._released = trio.Event()

    def identify(
        self, call_control_id: str, call_leg_id: str | None, call_session_id: str | None
    ) -> None:
        """Take Telnyx's names of the call, as far as they are not known."""
        info = self.info
        info.call_control_id = info.call_control_id or call_control_id
        info.call_leg_id = info.call_leg_id or call_leg_id
        info.call_session_id = info.call_session_id or call_session_id
        self.identified.set()

    def deliver(self, event: WebhookEvent) -> None:
        """Take one webhook of this call."""
        self.last_event = event.event_type
        self.info.update({"data": {"payload": event.payload}})
        if self.info.call_control_id:
            self.identified.set()
        if isinstance(event, CallAnswered):
            self.answered.set()
        elif isinstance(event, CallHangup):
            self.hangup = event
            self.hung_up.set()
            self.before_media.cancel()
        elif isinstance(event, StreamingFailed):
            self.media_failed = event
            self.before_media.cancel()
        self.webhooks.put(event)

    def summary(self) -> CallSummary:
        """Return what can be shown of the call now."""
        info, stream = self.info, self.info.telnyx_stream
        counts = stream.statistics() if stream is not None else None
        if self.hung_up.is_set():
            state = "ended"
        elif stream is not None and stream.has_started:
            state = "media" if stream.is_connected else "ended"
        else:
            state = "answered" if self.answered.is_set() else "ringing"
        return CallSummary(
            call_control_id=info.call_control_id,
            direction=str(info.payload.get("direction") or "outgoing"),
            from_number=info.from_number,
            to_number=info.to_number,
            state=state,
            duration=round(trio.current_time() - self.began_at, 3),
            packets_received=counts.packets_received if counts else 0,
            packets_sent=counts.packets_sent if counts else 0,
            missing=counts.missing if counts else 0,
            late=counts.late if counts else 0,
            last_event=self.last_event,
        )

    async def offer(self, websocket: WebSocket) -> None:
        """Hand over an accepted media socket and wait until the call is done with it.

        The socket is closed if nobody wants it within 10 s, or if the call has one already.
        """
        if not self._offered.is_set():
            self._websocket = websocket
            self._offered.set()
            with trio.move_on_after(EARLY_MEDIA_TIMEOUT):
                await self._wanted.wait()
            if self._wanted.is_set():
                await self._released.wait()
                return
        await websocket.aclose(_POLICY_VIOLATION, "no call waits for this media")

    def want_media(self) -> None:
        """Say that the media socket will be used, so that an early one need not give up."""
        self._wanted.set()

    async def wait_media(self) -> WebSocket:
        """Wait for the media socket."""
        self.want_media()
        await self._offered.wait()
        assert self._websocket is not None
        return self._websocket

    def release(self) -> None:
        """Let go of the media socket, used or not; no further one is taken."""
        self._offered.set()
        self._wanted.set()
        self._released.set()
        self.webhooks.end()
