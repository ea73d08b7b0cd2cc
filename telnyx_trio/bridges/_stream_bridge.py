"""A phone call in a Stream call: the Trio side of a bridge.

The Stream call lives in a thread of its own, because its SDK is asyncio and blocks at times. Audio
goes through two buffers that both sides reach (``_bridge_audio``); all else is events and a request
to leave. Here are two loops: what the phone says goes into its buffer as it comes; what the others
say is taken, mixed, each 20 ms.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final
from weakref import WeakSet

import numpy as np
import trio

from .._call import Call
from .._errors import CallControlError, CallEnded, LocalProtocolError
from .._lone_error import unwrap_lone_error
from .._media_stream import MediaStream
from .._ring_channel import RingChannel
from ..audio import PcmData
from ._asyncio_thread import AsyncioThread
from ._bridge_audio import BLOCK_SIZE, RATE, BridgeAudio
from ._bridge_values import (
    BridgeEnd,
    BridgeEvent,
    StreamBridgeStatistics,
    StreamParticipant,
    StreamParticipantJoined,
    StreamParticipantLeft,
)
from ._legs import MAX_DELAY
from ._phone_pace import CUSHION, interval_until_next
from ._stream_session import JOIN_GRACE, LEAVE_TIMEOUT, StreamSession

logger = logging.getLogger("telnyx_trio.bridge")

JOIN_TIMEOUT: Final = 20.0
"""Seconds to be in the Stream call: SDKs repeat a join that an SFU is too full for."""

_END_TIMEOUT: Final = JOIN_GRACE + LEAVE_TIMEOUT + 0.5
"""Seconds until nobody waits any more for the session to end."""

_RUN_DRY: Final = 0.005
_BLOCK: Final = BLOCK_SIZE / RATE
_MAX_EVENTS: Final = 256
_GONE: Final = (trio.BrokenResourceError, trio.ClosedResourceError)

_bridged: WeakSet[MediaStream] = WeakSet()
"""Streams that are in a Stream call. Two that take of one stream's audio would each get half."""


class StreamBridge:
    """A phone call that is in a Stream call; ``open_stream_bridge`` gives you one.

    Attributes:
        user_id: who the phone is in the Stream call.
        events: participants who join and leave, those first who were there before. Holds 256 and
            drops the oldest; ends with the bridge.
    """

    def __init__(
        self,
        stream_call: Any,
        stream: MediaStream,
        user_id: str,
        *,
        max_delay: float,
        join_timeout: float,
    ) -> None:
        if not max_delay >= CUSHION + 2 * _BLOCK:
            least = CUSHION + 2 * _BLOCK
            raise LocalProtocolError(f"max_delay is {max_delay!r}; it is {least:g} s or more")
        if stream.sends_mp3:
            raise LocalProtocolError("a call that sends whole MP3 files can't be in a Stream call")
        if stream in _bridged:
            raise LocalProtocolError("the phone is in a Stream call already: leave that first")
        self.user_id: Final = user_id
        self.events: Final[RingChannel[BridgeEvent]] = RingChannel(_MAX_EVENTS)
        self._stream = stream
        self._max_delay = max_delay
        self._audio = BridgeAudio()
        session = StreamSession(stream_call, user_id, self._audio, self, join_timeout)
        self._thread = AsyncioThread(
            session.run, f"Stream call of {user_id}", self._note_thread_ended
        )
        self._there: dict[str, StreamParticipant] = {}
        self._joined_or_ended = trio.Event()
        self._is_joined = False
        self._dropped = 0.0
        self._end: BridgeEnd | None = None
        self._ended = trio.Event()
        _bridged.add(stream)

    def __repr__(self) -> str:
        state = "live" if self._is_joined and self._end is None else self._end or "joining"
        return f"<StreamBridge {state} user_id={self.user_id!r}>"

    @property
    def participants(self) -> tuple[StreamParticipant, ...]:
        """Who else is in the Stream call now."""
        return tuple(self._there.values())

    @property
    def ended_by(self) -> BridgeEnd | None:
        """Who ended the bridge; None while it lives."""
        return self._end

    async def wait_ended(self) -> BridgeEnd:
        """Wait until the phone is in the Stream call no more, and return whose doing that was."""
        await self._ended.wait()
        return self._end or "left"

    def statistics(self) -> StreamBridgeStatistics:
        """Return the levels and counters as they stand."""
        phone, others = self._audio.statistics()
        return StreamBridgeStatistics(phone, others, self._stream.backlog, self._dropped)

    # Joining and leaving.

    async def join(self) -> None:
        """Be in the call, published. Whatever comes of it, ``leave`` is to follow."""
        self._thread.start()
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def watch() -> None:
                await self._thread.ended.wait()
                self._joined_or_ended.set()

            await self._joined_or_ended.wait()
            nursery.cancel_scope.cancel()
        if not self._is_joined:
            self._raise_error()
            raise trio.BrokenResourceError("the phone has hung up")

    async def leave(self) -> None:
        """Leave the Stream call, however far it has come; shielded, and bounded."""
        self._end = self._end or "left"
        self._thread.stop()
        with trio.move_on_after(_END_TIMEOUT, shield=True) as scope:
            await self._thread.ended.wait()
        if scope.cancelled_caught:
            logger.warning("Stream call: not left within %g s", _END_TIMEOUT)
            self._note_ended()

    def note_phone_ended(self) -> None:
        """Have the Stream call left, as the phone has hung up."""
        self._end = self._end or "phone"
        self._thread.stop()

    def _note_thread_ended(self) -> None:
        if self._thread.error is None:
            self._end = self._end or "stream_call"
        self._note_ended()

    def _note_ended(self) -> None:
        self._end = self._end or "left"
        self.events.end()
        self._ended.set()
        _bridged.discard(self._stream)

    def _raise_error(self) -> None:
        """Raise what the session ended with, the first time."""
        error, self._thread.error = self._thread.error, None
        if error is not None:
            raise error

    # Carrying audio.

    async def carry(self, if_cancelled: BridgeEnd = "left") -> None:
        """Carry audio both ways until either side has ended; then leave.

        Args:
            if_cancelled: whose doing it is when this is cancelled.

        Raises:
            StreamCallLost: the connection to Stream was lost.
        """
        try:
            with unwrap_lone_error():
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._play_others)
                    nursery.start_soon(self._listen_to_phone, nursery.cancel_scope)
                    await self._thread.ended.wait()
                    self._raise_error()
                    nursery.cancel_scope.cancel()
        finally:
            self._end = self._end or if_cancelled
            await self.leave()

    async def _listen_to_phone(self, scope: trio.CancelScope) -> None:
        async for pcm in self._stream.audio_track:
            self._audio.put_phone(pcm)
        self._end = self._end or "phone"
        scope.cancel()

    async def _play_others(self) -> None:
        try:
            await self._stream.wait_started()
            due = trio.current_time()
            while True:
                interval = _BLOCK
                if (pcm := self._audio.take_mixed()) is not None:
                    interval = interval_until_next(_BLOCK, await self._play(pcm))
                # A stall is not made up for: the buffers have cut it out.
                due = max(due + interval, trio.current_time() - 2 * _BLOCK)
                await trio.sleep_until(due)
        except _GONE:
            pass  # the phone has hung up, which the other loop tells

    async def _play(self, pcm: PcmData) -> float:
        """Send a block, and return how many seconds waited at the phone before it."""
        backlog = self._stream.backlog
        if backlog + _BLOCK > self._max_delay:
            self._dropped += _BLOCK
            return backlog
        if backlog < _RUN_DRY:
            silence = np.zeros(round(RATE * CUSHION), np.int16)
            await self._stream.send_audio(PcmData(RATE, samples=silence))
            backlog = CUSHION
        await self._stream.send_audio(pcm)
        return backlog

    # What the session tells, in its thread.

    def take_joined(self) -> None:
        """See ``Listener``."""
        self._thread.call_in_trio(self._note_joined)

    def take_participant(self, participant: StreamParticipant, *, is_there: bool) -> None:
        """See ``Listener``."""
        self._thread.call_in_trio(self._note_participant, participant, is_there)

    def _note_joined(self) -> None:
        self._is_joined = True
        self._joined_or_ended.set()

    def _note_participant(self, participant: StreamParticipant, is_there: bool) -> None:
        if is_there:
            self._there[participant.session_id] = participant
            self.events.put(StreamParticipantJoined(participant))
        else:
            self._there.pop(participant.session_id, None)
            self.events.put(StreamParticipantLeft(participant))


@asynccontextmanager
async def open_stream_bridge(
    call: Call,
    stream_call: Any,
    *,
    user_id: str = "phone-user",
    hang_up: bool = False,
    max_delay: float = MAX_DELAY,
    join_timeout: float = JOIN_TIMEOUT,
) -> AsyncIterator[StreamBridge]:
    """Have a phone call in a Stream call for as long as the body of ``async with`` runs.

    The far party's audio is published as that of ``user_id``; all others in the Stream call are
    heard by the far party, mixed. While it lasts, ``call.received`` gets nothing. When the phone
    hangs up the Stream call is left at once, and the body goes on. What you send or play meanwhile
    is heard first; what is said by the others while more than ``max_delay`` waits is dropped.

    Args:
        call: the phone call.
        stream_call: of ``getstream.AsyncStream(...).video.call(type, id)``. The client is used
            for its key and address alone, so it may be yours under Trio.
        user_id: who the phone is in the Stream call; the user must exist.
        hang_up: hang up the phone when the Stream call ends for everybody.
        max_delay: seconds that audio may wait here and at Telnyx before the phone's user hears it;
            0.1 or more.
        join_timeout: seconds to be in the Stream call. With a service that takes the connection and
            says nothing it may be 5 s more, as getstream 4 waits for a last word of it.

    Raises:
        StreamNotInstalled: the extra [stream] is not installed.
        StreamJoinFailed: the Stream call could not be joined.
        StreamCallLost: the connection to Stream was lost for good; the body is cancelled.
        LocalProtocolError: ``max_delay`` is too small, the call sends MP3 files, or it is in a
            Stream call already.
        CallEnded: the phone hung up before the Stream call was joined.
        Exception: what the body raised.
    Blocks: at entry, until the call is joined and the phone's audio published; at exit at most
        4.5 s.  Cancelled: the same at any moment; nobody is left behind in the Stream call.
    """
    bridge = StreamBridge(
        stream_call, call.stream, user_id, max_delay=max_delay, join_timeout=join_timeout
    )
    with unwrap_lone_error():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_leave_with_phone, call, bridge)
            try:
                await _join(call, bridge)
                nursery.start_soon(_carry_and_hang_up, call, bridge, hang_up)
                yield bridge
                nursery.cancel_scope.cancel()
            finally:
                await bridge.leave()


async def _join(call: Call, bridge: StreamBridge) -> None:
    try:
        await bridge.join()
    except trio.BrokenResourceError:
        cause = call.outcome.hangup_cause if call.outcome is not None else None
        raise CallEnded(call.call_control_id, hangup_cause=cause) from None


async def _leave_with_phone(call: Call, bridge: StreamBridge) -> None:
    await call.wait_ended()
    bridge.note_phone_ended()


async def _carry_and_hang_up(call: Call, bridge: StreamBridge, hang_up: bool) -> None:
    await bridge.carry()
    if hang_up and bridge.ended_by == "stream_call":
        try:
            await call.hangup()
        except CallControlError as error:
            # Leaving the call tries once more.
            logger.warning("call %s: not hung up: %s", call.call_control_id, error)


async def attach_phone_to_call(
    stream_call: Any, media_stream: MediaStream, user_id: str = "phone-user"
) -> StreamBridge:
    """Have the phone of a media stream in a Stream call until the stream ends.

    The Vision Agents plugin's name for ``open_stream_bridge``. Works before and after ``start``.
    The bridge lives in the nursery of ``media_stream.run``, and the Stream call is left with the
    stream's end, whatever ends it.

    Args:
        stream_call: of ``getstream.AsyncStream(...).video.call(type, id)``.
        media_stream: of the phone; of a ``Call`` it is ``call.stream``.
        user_id: who the phone is in the Stream call; the user must exist.

    Returns:
        The bridge, with its events and statistics.

    Raises:
        StreamNotInstalled: the extra [stream] is not installed.
        StreamJoinFailed: the Stream call could not be joined.
        LocalProtocolError: the stream sends MP3 files, or it is in a Stream call already.
        trio.BrokenResourceError: the stream has ended, or did before the call was joined.
    A connection to Stream that is lost later leaves ``media_stream.run`` as ``StreamCallLost``,
    from ``start`` on.
    Blocks: until the call is joined.  Cancelled: nobody is left behind in the Stream call.
    """
    if media_stream.has_ended:
        raise trio.BrokenResourceError("the phone has hung up")
    bridge = StreamBridge(
        stream_call, media_stream, user_id, max_delay=MAX_DELAY, join_timeout=JOIN_TIMEOUT
    )

    async def leave_with_stream() -> None:
        bridge.note_phone_ended()
        await bridge.leave()

    media_stream.add_cleanup_callback(leave_with_stream)
    try:
        await bridge.join()
        if bridge.ended_by is not None:
            raise trio.BrokenResourceError("the phone has hung up")
    except BaseException:
        await bridge.leave()
        raise
    media_stream.add_start_callback(partial(bridge.carry, "phone"))
    return bridge
