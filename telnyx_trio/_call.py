"""One call, one scope: ``open_call`` owns everything that a live call needs and ends it on leaving.

How it works. Two nurseries, one inside the other::

    library nursery   media stream, event pumps, maximum duration
      └─ call.nursery   the body of `async with`, and the user's own tasks

Whatever ends the call goes through ``_begin_end``, which happens once and notes who and why. When
it was not the body that ended it, the media stream is closed, so that ``received`` runs dry and
``send`` raises; the body gets ``end_grace`` seconds to finish what it writes down, and then its
scope is cancelled. Leaving the body, by whatever road, cancels the user's tasks first, so that they
never meet a closed stream; then, shielded and bounded, the socket is closed and the leg is hung up
side by side.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypedDict, Unpack

import trio

from ._dtmf import DtmfMerger
from ._errors import CallControlError, CallEnded, MediaTimeout, RemoteProtocolError
from ._events import DtmfReceived, StreamEvent
from ._lone_error import unwrap_lone_error
from ._media_stream import MAX_EVENTS, AudioTrack, MediaStream, MediaStreamStatistics, StreamEnd
from ._registry import TelnyxCall, TelnyxCallRegistry
from ._ring_channel import RingChannel
from ._types import TelnyxMediaFormat, TrackSelection, WireByteOrder
from .webhooks import CallDtmfReceived, CallHangup, WebhookEvent

if TYPE_CHECKING:
    from .audio import PcmData
    from .call_control import TelnyxClient

logger = logging.getLogger("telnyx_trio.call")

MAX_DURATION: Final = 14_400.0
"""Seconds; the longest that Telnyx lets a call last (``time_limit_secs`` of dial)."""

END_GRACE: Final = 10.0
TEARDOWN_TIMEOUT: Final = 5.0

HANGUP_CAUSE_TIMEOUT: Final = 1.0
"""Seconds to wait for the ``call.hangup`` webhook, which names the cause, once the call is over."""

_HANDING_OVER: Final = frozenset({"transfer", "bridge", "refer", "enqueue"})
"""Commands after which the leg belongs to someone else, so that leaving must not hang it up."""

CallEvent: TypeAlias = StreamEvent | WebhookEvent


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
    """No media message came for the silence timeout."""
    MAX_DURATION = "maximum duration"
    DETACHED = "detached"
    """``detach`` was called, or the leg was handed over by a transfer, bridge, refer or enqueue."""
    CANCELLED = "cancelled"
    """The scope around the call was cancelled."""
    ERROR = "error"
    """The body, or a task of the call, raised."""


_MEDIA_WENT_FIRST: Final = (
    ("them", EndReason.STREAM_STOPPED),
    ("them", EndReason.CONNECTION_LOST),
)


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

    ended_by: Literal["us", "them"]
    reason: EndReason
    duration: float
    hangup_cause: str | None = None
    hangup_source: str | None = None
    sip_hangup_cause: str | None = None


class CallOptions(TypedDict, total=False):
    """How a call is run; all optional.

    Attributes:
        track: media track to receive: "inbound" (default), "outbound" or "both".
        send_format: what Telnyx was asked to take from us; PCMU at 8000 Hz by default.
        byteorder: of L16 on the wire: "auto" (default), "little" or "big".
        lead: seconds that sent audio runs ahead of real time, 0.4 by default.
        start_timeout: seconds until ``start`` must have come, 10 by default.
        silence_timeout: seconds without any media message that end the call, 30 by default.
        max_duration: seconds that the call may last, 14400 by default.
        end_grace: seconds that the body has once the call has ended under it, 10 by default.
        teardown_timeout: seconds that closing and hanging up may take, 5 by default.
    """

    track: TrackSelection
    send_format: TelnyxMediaFormat
    byteorder: WireByteOrder
    lead: float
    start_timeout: float
    silence_timeout: float
    max_duration: float
    end_grace: float
    teardown_timeout: float


class Call:
    """A live call. ``open_call``, a server's handler or ``server.dial`` give you one.

    Attributes:
        events: key presses, marks, complaints of Telnyx about the stream, and the call's webhooks.
            Holds 256 and drops the oldest; ends with the call.
        stream: the media stream underneath.
        nursery: for your own tasks; they are cancelled on leaving.
    """

    def __init__(
        self,
        stream: MediaStream,
        info: TelnyxCall | None,
        client: TelnyxClient | None,
        webhooks: RingChannel[WebhookEvent] | None,
        options: CallOptions,
    ) -> None:
        self.stream: Final = stream
        self.events: Final[RingChannel[CallEvent]] = RingChannel(MAX_EVENTS)
        self.nursery: trio.Nursery
        self._info = info
        self._client = client
        self._webhooks = webhooks
        self._end_grace = options.get("end_grace", END_GRACE)
        self._max_duration = options.get("max_duration", MAX_DURATION)
        self._teardown_timeout = options.get("teardown_timeout", TEARDOWN_TIMEOUT)
        self._dtmf = DtmfMerger()
        self._started_at = trio.current_time()
        self._ended_at: float | None = None
        self._end: tuple[Literal["us", "them"], EndReason] | None = None
        self._ended = trio.Event()
        self._in_body = False
        self._hangup: CallHangup | None = None
        self._hangup_known = trio.Event()
        self._hung_up_by_us = False
        self._handed_over = False
        self._start_timeout: MediaTimeout | None = None

    def __repr__(self) -> str:
        state = "live" if self._end is None else self._end[1].value
        return f"<Call {state} {self.call_control_id!r}>"

    @property
    def info(self) -> TelnyxCall:
        """The registry's entry of this call: numbers, ids, times."""
        assert self._info is not None
        return self._info

    @property
    def call_control_id(self) -> str:
        """Telnyx's name of this call for its REST API."""
        return (self._info.call_control_id if self._info else self.stream.call_control_id) or ""

    @property
    def received(self) -> AudioTrack:
        """Audio from the far party, an async-iterable of PcmData.

        It ends, after what is buffered, when the call does.
        """
        return self.stream.audio_track

    @property
    def outcome(self) -> CallOutcome | None:
        """Who ended the call, why, and after how long; None while it lives."""
        if self._end is None or self._ended_at is None:
            return None
        ended_by, reason = self._end
        hangup = self._hangup
        return CallOutcome(
            ended_by=ended_by,
            reason=reason,
            duration=self._ended_at - self._started_at,
            hangup_cause=hangup.hangup_cause if hangup else None,
            hangup_source=hangup.hangup_source if hangup else None,
            sip_hangup_cause=hangup.sip_hangup_cause if hangup else None,
        )

    def statistics(self) -> MediaStreamStatistics:
        """Return the counters of the media stream."""
        return self.stream.statistics()

    async def wait_ended(self) -> None:
        """Wait until the call has ended, by whomever."""
        await self._ended.wait()

    # Audio.

    async def send(self, pcm: PcmData) -> None:
        """Queue audio to be played to the far party.

        Args:
            pcm: of any rate, mono or stereo (mixed down), "s16" or "f32". Copied.

        Raises:
            CallEnded: the call has ended.
        Blocks: while 2 s or more of earlier audio wait.  Cancelled: nothing of ``pcm`` was queued.
        """
        try:
            await self.stream.send_audio(pcm)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise self._ended_error() from None

    async def send_mark(self, name: str) -> None:
        """Queue a mark; ``events`` has a ``MarkReturned`` when all audio before it was heard.

        Raises:
            CallEnded: the call has ended.
            LocalProtocolError: ``name`` is empty.
        """
        try:
            await self.stream.send_mark(name)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise self._ended_error() from None

    async def clear(self) -> None:
        """Stop playback at once, here and at Telnyx; marks under way come back as cleared.

        Raises:
            CallEnded: the call has ended.
        Cancelled: it takes effect all the same.
        """
        try:
            await self.stream.clear()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise self._ended_error() from None

    # Call control.

    async def hangup(self) -> None:
        """Hang up now. ``received`` ends, and the body has ``end_grace`` seconds to finish.

        Without a REST client only the media socket is closed: the leg stays up at Telnyx.

        Raises:
            CallControlError: Telnyx could not be told; leaving the call tries once more.
        Cancelled: leaving the call hangs up.
        """
        self._begin_end("us", EndReason.HANGUP)
        if self._client is not None and self._hangup is None:
            await self._client.hangup(self.call_control_id)
            self._hung_up_by_us = True
        else:
            await trio.lowlevel.checkpoint()

    async def command(self, name: str, **body: Any) -> dict[str, Any]:
        """Give Telnyx any Call Control command for this call, such as "transfer" or "speak".

        After ``transfer``, ``bridge``, ``refer`` or ``enqueue`` was accepted, leaving the call does
        not hang up, and the stream's end is a normal one.

        Raises:
            CallControlError: Telnyx refused, or could not be reached.
            RuntimeError: the call was opened without a REST client.
        """
        if self._client is None:
            raise RuntimeError("this call has no REST client: pass client= to open_call")
        reply = await self._client.command(self.call_control_id, name, **body)
        if name in _HANDING_OVER:
            self._handed_over = True
        return reply

    def detach(self) -> None:
        """End our part without hanging up: streaming stops, the leg stays up at Telnyx."""
        self._handed_over = True
        self._begin_end("us", EndReason.DETACHED)

    # The end.

    def _ended_error(self) -> CallEnded:
        outcome = self.outcome
        return CallEnded(
            self.call_control_id,
            hangup_cause=outcome.hangup_cause if outcome else None,
            hangup_source=outcome.hangup_source if outcome else None,
            sip_hangup_cause=outcome.sip_hangup_cause if outcome else None,
        )

    def _begin_end(self, ended_by: Literal["us", "them"], reason: EndReason) -> None:
        if self._end is not None:
            return
        self._end = (ended_by, reason)
        self._ended_at = trio.current_time()
        self._ended.set()
        if self._in_body:
            self._limit_grace()

    def _enter_body(self) -> None:
        self._in_body = True
        if self._end is not None:
            self._limit_grace()

    def _limit_grace(self) -> None:
        self.nursery.cancel_scope.deadline = trio.current_time() + self._end_grace

    def _note_hangup(self, hangup: CallHangup) -> None:
        self._hangup = hangup
        self._hangup_known.set()
        if self._end in _MEDIA_WENT_FIRST:
            # The webhook tells what the media socket, which was quicker, could not.
            self._end = ("them", EndReason.HANGUP)
        self._begin_end("them", EndReason.HANGUP)

    # Tasks of the library.

    async def _run_stream(self) -> None:
        try:
            end = await self.stream.run()
        except trio.BrokenResourceError as error:
            logger.info("call %s: %s", self.call_control_id, error)
            self._begin_end("them", EndReason.CONNECTION_LOST)
        except MediaTimeout as error:
            logger.warning("call %s: %s", self.call_control_id, error)
            self._start_timeout = error
            self._begin_end("them", EndReason.SILENCE)
        except Exception:
            self._begin_end("us", EndReason.ERROR)
            raise
        else:
            if end is StreamEnd.STOPPED:
                handed_over = EndReason.DETACHED if self._handed_over else EndReason.STREAM_STOPPED
                self._begin_end("them", handed_over)

    async def _close_stream_at_end(self) -> None:
        await self._ended.wait()
        await self.stream.close()

    async def _limit_duration(self) -> None:
        await trio.sleep(self._max_duration)
        self._begin_end("us", EndReason.MAX_DURATION)

    async def _pump_stream_events(self) -> None:
        async for event in self.stream.events:
            if isinstance(event, DtmfReceived) and not self._dtmf.media(
                event.digit, event.occurred_at, trio.current_time()
            ):
                continue
            self.events.put(event)
        self.events.end()

    async def _pump_webhooks(self, webhooks: RingChannel[WebhookEvent]) -> None:
        async with trio.open_nursery() as nursery:
            async for event in webhooks:
                if isinstance(event, CallDtmfReceived) and event.digit:
                    self._dtmf.webhook(event.digit, event.occurred_at, trio.current_time())
                    nursery.start_soon(self._put_due_digits)
                    continue
                self.events.put(event)
                if isinstance(event, CallHangup):
                    self._note_hangup(event)

    async def _put_due_digits(self) -> None:
        deadline = self._dtmf.next_deadline()
        if deadline is not None:
            await trio.sleep_until(deadline)
        for press in self._dtmf.due(trio.current_time()):
            self.events.put(DtmfReceived(press.digit, press.occurred_at, "webhook"))

    async def _wait_started(self) -> None:
        try:
            await self.stream.wait_started()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            # The task that runs the stream learns of its end in this same turn or the next.
            await self._ended.wait()
            if self._start_timeout is not None:
                raise self._start_timeout from None
            raise self._ended_error() from None
        self._started_at = trio.current_time()

    def _identify(self, registry: TelnyxCallRegistry | None) -> None:
        start = self.stream.start
        assert start is not None
        if self._info is None:
            call_control_id = start.call_control_id or ""
            self._info = (
                registry.require(call_control_id) if registry else TelnyxCall(call_control_id)
            )
        elif not self._info.agrees_with(
            call_control_id=start.call_control_id,
            call_session_id=start.call_session_id,
            client_state=start.client_state,
        ):
            raise RemoteProtocolError("the media is of another call", event="start")
        self._info.telnyx_stream = self.stream

    async def _teardown(self) -> None:
        cancelled = trio.current_effective_deadline() <= trio.current_time()
        with trio.move_on_after(self._teardown_timeout, shield=True) as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.stream.close)
                nursery.start_soon(self._hang_up)
            if self._webhooks is not None and not cancelled and not self._handed_over:
                with trio.move_on_after(HANGUP_CAUSE_TIMEOUT):
                    await self._hangup_known.wait()
        if scope.cancelled_caught:
            logger.warning(
                "call %s: closing took more than %g s", self.call_control_id, self._teardown_timeout
            )

    async def _hang_up(self) -> None:
        up = not (self._hung_up_by_us or self._hangup or self._handed_over)
        if self._client is None or not up or not self.call_control_id:
            return
        try:
            await self._client.hangup(self.call_control_id)
        except CallControlError as error:
            logger.error("call %s: could not hang up: %s", self.call_control_id, error)


@asynccontextmanager
async def open_call(
    websocket: object,
    *,
    registry: TelnyxCallRegistry | None = None,
    info: TelnyxCall | None = None,
    client: TelnyxClient | None = None,
    webhooks: RingChannel[WebhookEvent] | None = None,
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
        client: hangs up, and carries ``call.command``.
        webhooks: the call's webhooks, as a server hands them out.
        answered: set when the call is answered, for a socket that may open while it rings.
        **options: see ``CallOptions``.

    Raises:
        MediaTimeout: ``start`` did not come in time.
        CallEnded: the socket closed before ``start``.
        RemoteProtocolError: ``start`` is for another call than ``info``.
        UnknownCall: ``registry`` is given without ``info`` and does not know the call.
        UnsupportedEncoding: Telnyx sends a codec that we do not speak.
        Exception: what the body or a task in ``call.nursery`` raised: as itself if it is alone,
            else in an ExceptionGroup.
    Cancelled: the body is cancelled; then as on any leaving, without waiting for who is gone.
    """
    stream_options: dict[str, Any] = {
        name: options[name]
        for name in (
            "track",
            "send_format",
            "byteorder",
            "lead",
            "start_timeout",
            "silence_timeout",
        )
        if name in options
    }
    stream = MediaStream(websocket, answered=answered, **stream_options)
    call = Call(stream, info, client, webhooks, options)
    try:
        with unwrap_lone_error():
            async with trio.open_nursery() as library:
                try:
                    async with trio.open_nursery() as call.nursery:
                        library.start_soon(call._run_stream)
                        library.start_soon(call._close_stream_at_end)
                        if webhooks is not None:
                            library.start_soon(call._pump_webhooks, webhooks)
                        await call._wait_started()
                        call._identify(registry)
                        library.start_soon(call._pump_stream_events)
                        library.start_soon(call._limit_duration)
                        call._enter_body()
                        yield call
                        call._begin_end("us", EndReason.LEFT)
                        call.nursery.cancel_scope.cancel()
                except trio.Cancelled:
                    call._begin_end("us", EndReason.CANCELLED)
                    raise
                except BaseException:
                    call._begin_end("us", EndReason.ERROR)
                    raise
                finally:
                    await call._teardown()
                    library.cancel_scope.cancel()
    finally:
        if call._info is not None:
            call._info.end()
            if registry is not None:
                registry.discard(call._info)
