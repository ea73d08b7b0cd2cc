"""Opening a call: the nursery, the cancel scope, and the way out.

How it works. Two nurseries, one inside the other::

    library nursery   one task, shielded: media stream, event pumps, maximum duration
      └─ call.nursery   the body of `async with`, and the user's own tasks

Whatever ends the call is noted once, in its ``Ending``. When it was not the body that ended it, the
media stream is closed, so that ``received`` runs dry and ``send`` raises; the body gets
``end_grace`` seconds to finish what it writes down, and then its scope is cancelled.

Leaving the body, by whatever road, ends the user's tasks first. The library's tasks do not see a
cancellation from outside: so no task of the user meets a closed stream before it was told to go,
and the send loop is not cut off inside a message while the call lives. Then, shielded and bounded,
the socket is closed and the leg is hung up, side by side.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Unpack

import trio

from .._dtmf import DtmfMerger
from .._dtmf_order import DtmfOrder
from .._errors import MediaTimeout, RemoteProtocolError
from .._events import DtmfReceived
from .._lone_error import unwrap_lone_error
from .._media_stream import MediaStream, StreamEnd
from .._registry import TelnyxCall, TelnyxCallRegistry
from .._ring_channel import RingChannel
from .._types import DTMF_DIGITS
from .._websocket import WebSocket, as_websocket
from ..call_control import encode_client_state, split_client_state
from ..webhooks import CallDtmfReceived, CallHangup, Inbox, WebhookEvent
from ._call import Call
from ._ending import Ending, EndReason
from ._hold import Hold, Holding
from ._listeners import Listeners
from ._options import END_GRACE, MAX_DURATION, TEARDOWN_TIMEOUT, CallOptions
from ._outcomes import OutcomeCommands

if TYPE_CHECKING:
    from ..call_control import TelnyxClient

logger = logging.getLogger("telnyx_trio.call")

HANGUP_CAUSE_TIMEOUT: Final = 1.0
"""Seconds to wait for the ``call.hangup`` webhook, which names the cause, once the call is over."""

_POLICY_VIOLATION: Final = 1008
"""Close code of RFC 6455 section 7.4.1 for a peer that is not who it should be."""

_STREAM_OPTIONS: Final = (
    "track",
    "send_format",
    "send_mode",
    "byteorder",
    "lead",
    "idle_audio",
    "missing_audio",
    "voice_activity",
    "in_band_dtmf",
    "start_timeout",
    "silence_timeout",
)


_LOST: Final = (trio.BrokenResourceError, trio.ClosedResourceError)
_ENDS_OF_MEDIA: Final = (*_LOST, MediaTimeout)


class _Run:
    """The library's part of one call: its tasks and its teardown."""

    def __init__(
        self,
        websocket: WebSocket,
        info: TelnyxCall | None,
        client: TelnyxClient | None,
        webhooks: RingChannel[WebhookEvent] | None,
        inbox: Inbox | None,
        answered: trio.Event | None,
        options: CallOptions,
    ) -> None:
        stream_options: dict[str, Any] = {
            name: value for name, value in options.items() if name in _STREAM_OPTIONS
        }
        self._websocket = websocket
        self._webhooks = webhooks
        self._answered = answered
        self._end_grace = options.get("end_grace", END_GRACE)
        self._max_duration = options.get("max_duration", MAX_DURATION)
        self._teardown_timeout = options.get("teardown_timeout", TEARDOWN_TIMEOUT)
        self._stream = MediaStream(websocket, answered=answered, **stream_options)
        self._hold = Hold(client)
        self._listeners = Listeners()
        self._dtmf = DtmfMerger()
        # What came by media or webhook against what was heard: whichever is first is told, so what
        # was heard waits for nobody.
        self._dtmf_heard = DtmfMerger(hold=0.0)
        self._dtmf_order = DtmfOrder()
        self._scope = trio.CancelScope(shield=True)
        self._nursery: trio.Nursery
        self._info = info
        self._start_error: Exception | None = None
        self._entered = trio.Event()
        self._stream_done = trio.Event()
        self.ending = Ending()
        commands = OutcomeCommands(self._hold, self.ending, self._listeners, inbox)
        self.call = Call(self._stream, self.ending, self._hold, self._listeners, commands)

    @property
    def _call_control_id(self) -> str:
        return self._info.call_control_id if self._info is not None else ""

    # Before the body.

    async def carry(self) -> None:
        """Run the media stream and all that attends to it, until the scope is cancelled."""
        with self._scope, unwrap_lone_error():
            async with trio.open_nursery() as self._nursery:
                self._nursery.start_soon(self._close_at_end)
                self._nursery.start_soon(self._pump_stream_events)
                if self._webhooks is not None:
                    self._nursery.start_soon(self._pump_webhooks, self._webhooks)
                self._nursery.start_soon(self._limit_body)
                self._nursery.start_soon(self._limit_duration)
                await self._run_stream()

    async def wait_started(self) -> None:
        """Wait for ``start``.

        Raises:
            CallEnded: the call ended before.
            Exception: what else ended the stream.
        """
        try:
            await self._stream.wait_started()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            await self.ending.began.wait()
            error = self._start_error or self.ending.error(self._call_control_id)
            raise error from None
        self.ending.started_at = trio.current_time()
        if self._answered is not None:
            # Its webhook may be late or lost, but media starts with the answer.
            self._answered.set()

    async def identify(self, registry: TelnyxCallRegistry | None) -> TelnyxCall:
        """Find out which call this is, and make sure that it is the one expected, if any.

        Raises:
            UnknownCall: the registry does not know it.
            RemoteProtocolError: it is not the one expected.
        """
        await trio.lowlevel.checkpoint()
        start = self._stream.start
        assert start is not None
        call_control_id = start.call_control_id or ""
        info = self._info
        if info is None:
            # Mind that an empty registry is false.
            if registry is not None:
                info = registry.require(call_control_id)
            else:
                info = TelnyxCall(call_control_id)
        agrees = info.agrees_with(
            call_control_id=start.call_control_id,
            call_session_id=start.call_session_id,
            client_state=start.client_state,
        )
        expected = self._info is not None and bool(self._info.call_control_id)
        if agrees is False or (agrees is None and expected):
            with trio.move_on_after(self._teardown_timeout):
                await self._websocket.aclose(_POLICY_VIOLATION, "media of another call")
            raise RemoteProtocolError("the media is of another call, or of none", event="start")
        info.telnyx_stream = self._stream
        self._info = self.call.info = info
        self.call.take_client_state(start.client_state or info.client_state)
        return info

    def enter_body(self) -> None:
        """Let the deadlines of the body begin."""
        self._entered.set()

    def leave_body(self, reason: EndReason) -> None:
        """Note why the body was left, unless that was because the stream had ended.

        The body sees that end earlier than the task that runs the stream, which closes the socket
        first and then tells; ``tear_down`` waits for it.
        """
        if reason is EndReason.CANCELLED or self._stream.is_connected:
            self.ending.begin("us", reason)

    # Tasks.

    async def _run_stream(self) -> None:
        try:
            end = await self._stream.run()
        except Exception as error:
            self._note_stream_error(error)
            if self._stream.has_started and not isinstance(error, _ENDS_OF_MEDIA):
                raise
            self._start_error = None if isinstance(error, _LOST) else error
        else:
            if end is StreamEnd.STOPPED:
                self.ending.explain("them", EndReason.STREAM_STOPPED)
        finally:
            self._stream_done.set()

    def _note_stream_error(self, error: Exception) -> None:
        if isinstance(error, trio.BrokenResourceError):
            logger.info("call %s: %s", self._call_control_id, error)
            self.ending.explain("them", EndReason.CONNECTION_LOST)
        elif isinstance(error, MediaTimeout):
            logger.warning("call %s: %s", self._call_control_id, error)
            self.ending.explain("them", EndReason.SILENCE)
        else:
            self.ending.explain("us", EndReason.ERROR)

    async def _close_at_end(self) -> None:
        await self.ending.began.wait()
        await self._stream.close()

    async def _limit_body(self) -> None:
        await self._entered.wait()
        await self.ending.began.wait()
        self.call.nursery.cancel_scope.deadline = trio.current_time() + self._end_grace

    async def _limit_duration(self) -> None:
        await self._entered.wait()
        await trio.sleep(self._max_duration)
        self.ending.begin("us", EndReason.MAX_DURATION)
        # At once: the body may take its time to finish, but not the call.
        await self._hold.let_go(self._call_control_id)

    async def _pump_stream_events(self) -> None:
        try:
            async for event in self._stream.events:
                if isinstance(event, DtmfReceived):
                    self._take_press(event)
                else:
                    self.call.events.put(event)
            if self._stream.has_started:
                self.ending.note_media_ended()
            self._dtmf.media_open = False
            self._put_due_digits()
            self._put_digits(self._dtmf_order.flush())
            self.call.keypad.end()
            if self._webhooks is not None:
                with trio.move_on_after(HANGUP_CAUSE_TIMEOUT):
                    await self.ending.hangup_known.wait()
        finally:
            self.call.keypad.end()
            self.call.events.end()
            if self._hold.holding is not Holding.HANDED_OVER:
                self._listeners.end()

    async def _pump_webhooks(self, webhooks: RingChannel[WebhookEvent]) -> None:
        try:
            await self._sort_webhooks(webhooks)
        finally:
            self._listeners.end()

    async def _sort_webhooks(self, webhooks: RingChannel[WebhookEvent]) -> None:
        async for event in webhooks:
            if isinstance(event, CallDtmfReceived) and event.digit and event.digit in DTMF_DIGITS:
                self._dtmf.webhook(event.digit, event.occurred_at, trio.current_time())
                self._nursery.start_soon(self._put_digit_in_time)
                continue
            shown = _for_user(event)
            self.call.events.put(shown)
            if isinstance(event, CallHangup):
                is_ours = self._is_ours(event)
                self._hold.note_over()
                self.ending.note_hangup(event, is_ours=is_ours)
            self.call.take_webhook(shown)
            if isinstance(event, CallHangup):
                self._listeners.end()

    def _is_ours(self, hangup: CallHangup) -> bool:
        """Whether it was this side that hung up, as it does on leaving."""
        if hangup.hangup_source not in ("caller", "callee"):
            return self._hold.holding is Holding.OVER
        is_incoming = self._info is not None and self._info.payload.get("direction") == "incoming"
        return hangup.hangup_source == ("callee" if is_incoming else "caller")

    def _take_press(self, event: DtmfReceived) -> None:
        now = trio.current_time()
        if event.source == "in_band":
            self._dtmf_heard.webhook(event.digit, None, now)
            if self._dtmf_heard.due(now):
                self._order_press(event)
        elif self._dtmf.media(event.digit, event.occurred_at, now):
            self._order_press_told(event)

    def _order_press_told(self, event: DtmfReceived) -> None:
        # None, as what was heard does not know Telnyx's time: the arrival decides.
        if self._dtmf_heard.media(event.digit, None, trio.current_time()):
            self._order_press(event)

    def _order_press(self, event: DtmfReceived) -> None:
        self.call.keypad.note_pressed()
        self._dtmf_order.push(event, trio.current_time())
        self._nursery.start_soon(self._put_digit_in_time)

    async def _put_digit_in_time(self) -> None:
        while deadlines := [
            deadline
            for deadline in (self._dtmf.next_deadline(), self._dtmf_order.next_deadline())
            if deadline is not None
        ]:
            await trio.sleep_until(min(deadlines))
            self._put_due_digits()

    def _put_due_digits(self) -> None:
        for press in self._dtmf.due(trio.current_time()):
            self._order_press_told(DtmfReceived(press.digit, press.occurred_at, "webhook"))
        self._put_digits(self._dtmf_order.due(trio.current_time()))

    def _put_digits(self, events: Sequence[DtmfReceived]) -> None:
        for event in events:
            self.call.events.put(event)
            self.call.keypad.press(event.digit)
            self._stream.note_digit(event.digit)

    # The way out.

    async def tear_down(self, reason: EndReason) -> None:
        """Close the socket and hang up, then end the library's tasks.

        Args:
            reason: why the body was left, should nobody have ended the call before.
        """
        is_hurried = trio.current_effective_deadline() <= trio.current_time()
        try:
            with trio.move_on_after(self._teardown_timeout, shield=True) as scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._hold.let_go, self._call_control_id)
                    if is_hurried:
                        # Cancelled, the stream does not wait for the peer.
                        self._scope.cancel()
                    else:
                        nursery.start_soon(self._stream.close)
                        nursery.start_soon(self._stream_done.wait)
            self.ending.begin("us", reason)
            if scope.cancelled_caught:
                logger.warning(
                    "call %s: not hung up within %g s",
                    self._call_control_id,
                    self._teardown_timeout,
                )
            if not is_hurried and self._expects_cause():
                # Shielded, because a Cancelled from here would take the place of the body's error.
                with trio.move_on_after(HANGUP_CAUSE_TIMEOUT, shield=True):
                    await self.ending.hangup_known.wait()
        finally:
            self._scope.cancel()

    def _expects_cause(self) -> bool:
        if self._webhooks is None or self._hold.holding is Holding.HANDED_OVER:
            return False
        return self._hold.holding is Holding.OVER or self.ending.is_theirs


def _for_user(event: WebhookEvent) -> WebhookEvent:
    """Leave out the tag that a server puts into ``client_state`` to know its legs by."""
    tag, state = split_client_state(event.client_state)
    if not tag:
        return event
    client_state = encode_client_state(state) if state else None
    payload = {**event.payload, "client_state": client_state}
    return replace(event, client_state=client_state, payload=payload)


def _is_cancelled(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return error.split(trio.Cancelled)[1] is None
    return isinstance(error, trio.Cancelled)


@asynccontextmanager
async def open_call(
    websocket: object,
    *,
    registry: TelnyxCallRegistry | None = None,
    info: TelnyxCall | None = None,
    client: TelnyxClient | None = None,
    webhooks: RingChannel[WebhookEvent] | None = None,
    inbox: Inbox | None = None,
    answered: trio.Event | None = None,
    **options: Unpack[CallOptions],
) -> AsyncIterator[Call]:
    """Run one call over a media socket, for as long as the body of ``async with`` runs.

    The body starts when ``start`` has come. When the call ends under it, ``received`` runs dry,
    ``send`` raises, and ``end_grace`` seconds later the body is cancelled, quietly. Leaving the
    body closes the socket, hangs up (given a ``client``, unless detached), and ends the entry in
    the registry; all of it within ``teardown_timeout``, also when cancelled.

    Args:
        websocket: as for ``MediaStream``.
        registry: where the call is looked up by the id in ``start``, and removed on leaving.
        info: the call's entry, if known: what ``start`` says must agree with it.
        client: hangs up, and carries the call's commands.
        webhooks: the call's webhooks, as a server hands them out. Without them, what waits for one
            (``call.gather`` and the like) waits until the call ends.
        inbox: where the webhooks of other legs arrive, such as the one that a transfer rings.
        answered: set when the call is answered, for a socket that may open while it rings.
        **options: see ``CallOptions``.

    Raises:
        MediaTimeout: ``start`` did not come in time.
        CallEnded: the call ended before ``start``.
        RemoteProtocolError: ``start`` is for another call than ``info``. The socket is closed with
            code 1008 and the expected call hung up, as its token is used up.
        UnknownCall: ``registry`` is given without ``info`` and does not know the call.
        UnsupportedEncoding: Telnyx sends a codec that we do not speak.
        TypeError: ``websocket`` is nothing that a MediaStream can use.
        Exception: what the body or a task in ``call.nursery`` raised: as itself if it is alone,
            else in an ExceptionGroup.
    Cancelled: the body is cancelled; then as on any leaving, without waiting for who is gone.
    """
    run = _Run(as_websocket(websocket), info, client, webhooks, inbox, answered, options)
    call = run.call
    reason = EndReason.LEFT
    try:
        with unwrap_lone_error():
            async with trio.open_nursery() as library:
                try:
                    async with trio.open_nursery() as call.nursery:
                        library.start_soon(run.carry)
                        await run.wait_started()
                        info = await run.identify(registry)
                        run.enter_body()
                        yield call
                        call.nursery.cancel_scope.cancel()
                    run.leave_body(reason)
                except BaseException as error:
                    reason = EndReason.CANCELLED if _is_cancelled(error) else EndReason.ERROR
                    run.leave_body(reason)
                    raise
                finally:
                    await run.tear_down(reason)
    finally:
        if info is not None:
            info.end()
            if registry is not None:
                registry.discard(info)
