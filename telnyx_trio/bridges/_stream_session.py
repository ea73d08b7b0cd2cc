"""One session in a Stream call, by getstream's SDK: the asyncio side of a bridge.

Runs in the bridge's own thread, see ``_asyncio_thread``. What is written for an SDK's ways:

- getstream 4 does not tell who was there before; ``republish_tracks`` subscribes to them.
- Its ``__aenter__`` also starts to ping public servers each second, and joins anew when that has
  failed once. ``connect`` does all else.
- Its ``leave`` waits two seconds, blocking, for a thread that sleeps for ten. It is told that there
  is none; the thread sees by itself that all is over.
- It closes its WebSocket under the thread that reads from it, which at times, one in ten, then
  waits for ever. So the server is asked for the close first, and that thread ends with its answer.
  When the server closes first, the socket is forgotten.
- It does not wait for a peer connection that closes already, as one does whose peer has left; the
  sockets of such a one would stay open.
- It tells of a lost WebSocket before it has noted the loss itself, and may then take the WebSocket
  for a sound one and say that it is in the call, for ever. So the loss is noted for it; and as it
  may also miss one wholly, its WebSocket is looked at each second.
- It does not ask who has come and gone while a connection was lost. It is told, from the list that
  it gets when it is back, as if these were new events; and it subscribes anew.
- It waits, blocking its loop for five seconds, for the close frame of a server that says nothing.
  So leaving has its time to itself, once a join has ended.
- getstream 7 has the own session among the participants, and others may share its user id. Its id
  is known to the native call alone, under a private name; without it the user id decides.
- getstream 7 may give audio of somebody who has left already.
- getstream 7 publishes without waiting for the connection, and left before that is there it keeps
  its sockets open. So it is not left sooner than 0.3 s after that.
- When getstream 7 gives up a lost connection, after a minute, it says that the call has ended.
- A join that is cancelled may leave a WebSocket in the making behind, which enters the call later.
  So it is given the time to succeed, and then the call is left.
"""

from __future__ import annotations

import asyncio
import fractions
import logging
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from math import inf
from typing import Any, Final, Protocol

import numpy as np

from .._errors import StreamCallLost, StreamJoinFailed, StreamNotInstalled
from ..audio import PcmData
from ._bridge_audio import BLOCK_SIZE, RATE, BridgeAudio
from ._bridge_values import StreamParticipant

logger = logging.getLogger("telnyx_trio.bridge")

JOIN_GRACE: Final = 2.0
"""Seconds that a join under way gets to succeed, when it is not wanted any more."""

LEAVE_TIMEOUT: Final = 2.0
"""Seconds that leaving gets."""

_CLOSE_TIMEOUT: Final = 1.0
_SETTLE_TIME: Final = 0.3

_MENDING: Final = 5.0
"""Seconds of mending after which getstream 7 means a loss when it says that the call has ended. The
connection of a call that ends is gone as well, at times before the word of it has been heard."""

_MAX_QUEUE_MS: Final = 60
"""Milliseconds of the phone's audio that getstream 7 may hold: a few packets, if it is busy."""

_LOOK_EVERY: Final = 1.0
_MAX_DOWN: Final = 3.0
_MAX_MENDING: Final = 60.0
"""Seconds; getstream 4 means to give up after 30."""

_PTIME: Final = BLOCK_SIZE / RATE
_MAX_LATENESS: Final = 0.1
"""Seconds of stall that are made up for; what is beyond them is left out."""


class Listener(Protocol):
    """Is told, in the session's thread, what happens in the call."""

    def take_joined(self) -> None:
        """Note that the call is joined, and the phone's audio published."""

    def take_participant(self, participant: StreamParticipant, *, is_there: bool) -> None:
        """Note who is there, or has left."""


class StreamSession:
    """A session in a Stream call that is being joined, lived and left.

    Args:
        stream_call: of ``getstream.AsyncStream(...).video.call(...)``.
        user_id: who the phone is in the call.
        audio: where the phone's audio is taken, and that of the others is left.
        listener: is told what happens.
        join_timeout: seconds to be in the call, and heard.
    """

    def __init__(
        self,
        stream_call: Any,
        user_id: str,
        audio: BridgeAudio,
        listener: Listener,
        join_timeout: float,
    ) -> None:
        self._call = stream_call
        self._user_id = user_id
        self._audio = audio
        self._listener = listener
        self._join_timeout = join_timeout
        self._there: dict[str, StreamParticipant] = {}
        self._gone: set[str] = set()
        self._own_session_id: str | None = None
        self._published_at = -inf
        self._client: Any = None  # of getstream 4's signalling, and its socket
        self._socket: Any = None
        self._over = asyncio.Event()
        self._mending_since = inf
        self._catching_up: asyncio.Task[None] | None = None
        self._lost = False

    async def run(self, stop: asyncio.Event) -> None:
        """Join, stay until ``stop`` is set or the call has ended, and leave.

        Raises:
            StreamNotInstalled: getstream, or its part for WebRTC, is not installed.
            StreamJoinFailed: the call could not be joined.
            StreamCallLost: the connection was lost, and getstream could not mend it.
        """
        if stop.is_set():
            return
        connection = await self._make_connection()
        if stop.is_set():  # as it may take seconds to import the SDK
            return
        self._listen(connection)
        join = asyncio.create_task(self._join(connection))
        stopping = asyncio.create_task(stop.wait())
        over = asyncio.create_task(self._over.wait())
        watch: asyncio.Task[None] | None = None
        try:
            await asyncio.wait({join, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not join.done():
                await asyncio.wait({join}, timeout=JOIN_GRACE)
            if not join.done() or stopping.done():
                return
            if join.cancelled():
                raise self._join_failed(RuntimeError("getstream has given it up"))
            join.result()
            self._listener.take_joined()
            if hasattr(connection, "ws_client"):
                watch = asyncio.create_task(self._watch_getstream_4(connection))
            await asyncio.wait({stopping, over}, return_when=asyncio.FIRST_COMPLETED)
            if self._lost:
                raise StreamCallLost
        finally:
            for task in (watch, self._catching_up):
                if task is not None:
                    task.cancel()
            await self._leave(connection, join)

    async def _watch_getstream_4(self, connection: Any) -> None:
        """Notice a loss that getstream takes for mended, or mends for ever."""
        down = 0.0
        while not self._over.is_set():
            await asyncio.sleep(_LOOK_EVERY)
            client = connection.ws_client
            if client is not None and client.running:
                down = 0.0
                continue
            down += _LOOK_EVERY
            is_mending = self._mending_since < inf
            if down >= (_MAX_MENDING if is_mending else _MAX_DOWN):
                self._lost = True
                self._over.set()

    async def _make_connection(self) -> Any:
        try:
            from getstream.video import rtc
            from getstream.video.rtc.pb.stream.video.sfu.models.models_pb2 import TrackType
            from getstream.video.rtc.tracks import SubscriptionConfig, TrackSubscriptionConfig
        except ImportError as error:
            raise StreamNotInstalled from error
        audio_only = TrackSubscriptionConfig(track_types=[TrackType.TRACK_TYPE_AUDIO])
        try:
            return await rtc.join(
                self._call,
                self._user_id,
                subscription_config=SubscriptionConfig(default=audio_only),
            )
        except Exception as error:
            raise self._join_failed(error) from error

    async def _join(self, connection: Any) -> None:
        try:
            async with asyncio.timeout(self._join_timeout):
                await connection.connect()
                await self._learn_participants(connection)
                if hasattr(connection, "republish_tracks"):
                    await connection.republish_tracks()
                await connection.add_tracks(audio=_make_track(self._audio))
                self._published_at = time.monotonic()
        except Exception as error:
            raise self._join_failed(error) from error

    def _join_failed(self, error: Exception) -> StreamJoinFailed:
        text = str(error) or type(error).__name__
        if isinstance(error, TimeoutError):
            text = f"it took more than {self._join_timeout:g} s"
        client: Any = getattr(getattr(self._call, "client", None), "stream", None)
        secrets = [getattr(client, "token", None)]
        if getattr(client, "has_api_secret", False):
            secrets.append(client.api_secret)
        for secret in filter(None, secrets):
            text = text.replace(str(secret), "…")
        return StreamJoinFailed(text)

    async def _leave(self, connection: Any, join: asyncio.Task[None]) -> None:
        if not join.done():
            join.cancel()
        elif not join.cancelled():
            join.exception()  # it is seen, whether it is raised or not
        await asyncio.wait({join}, timeout=LEAVE_TIMEOUT)
        try:
            async with asyncio.timeout(LEAVE_TIMEOUT):
                if hasattr(connection, "ws_client"):
                    await _close_getstream_4(connection, self._socket)
                else:
                    await asyncio.sleep(self._published_at + _SETTLE_TIME - time.monotonic())
                await connection.leave()
        except Exception:
            logger.warning("Stream call: could not be left in order", exc_info=True)

    # What the SDK tells.

    def _listen(self, connection: Any) -> None:
        def ended(_event: Any) -> None:
            if hasattr(connection, "running"):
                connection.running = False  # or getstream 4 would take the close for a loss
            elif time.monotonic() - self._mending_since > _MENDING:
                self._lost = True
            self._over.set()

        def lost(_reason: Any) -> None:
            if connection.ws_client is not None:
                connection.ws_client.running = False

        if hasattr(connection, "ws_client"):
            connection.on("connection_lost", lost)  # runs before getstream 4 begins to mend
        connection.on("audio", self._hear)
        connection.participants_state.map(self._take_participants)
        connection.on("call_ended", ended)
        connection.on("connection.state_changed", partial(self._take_state, connection))

    def _take_state(self, connection: Any, change: Any) -> None:
        old, new = (str(change[name]).upper().rpartition(".")[2] for name in ("old", "new"))
        was_mending = self._mending_since < inf
        if new == "RECONNECTING":
            self._mending_since = time.monotonic()
        elif new != "JOINING" and not (new == "LEFT" and old == "RECONNECTING"):
            self._mending_since = inf
        if new == "JOINED":
            client = getattr(connection, "ws_client", None)
            if client is not None:
                self._socket = client.ws.sock
            if was_mending:
                entered_anew = client is not self._client
                self._catching_up = asyncio.create_task(self._catch_up(connection, entered_anew))
            self._client = client
        if new == "RECONNECTING_FAILED":
            self._lost = True
            self._over.set()

    def _hear(self, pcm: Any) -> None:
        session_id = getattr(pcm.participant, "session_id", "")
        if session_id not in self._gone:
            heard = PcmData(pcm.sample_rate, "s16", np.asarray(pcm.samples), channels=pcm.channels)
            self._audio.put_speaker(session_id, heard)

    # Who is there.

    async def _learn_participants(self, connection: Any) -> None:
        """Learn who is there, once the call is entered."""
        if hasattr(connection, "session_id"):
            self._own_session_id = connection.session_id
        elif (native_call := getattr(connection, "_rust_call", None)) is not None:
            self._own_session_id = await native_call.session_id()
        self._take_participants(connection.participants_state.get_participants())

    async def _catch_up(self, connection: Any, entered_anew: bool) -> None:
        """Learn who has come and gone while the connection was lost, and hear them."""
        try:
            if entered_anew:  # or the WebSocket was sound, and events came
                await _catch_up_getstream_4(connection)
            await self._learn_participants(connection)
        except Exception:
            logger.warning("Stream call: who is in it now could not be learnt", exc_info=True)

    def _take_participants(self, participants: Iterable[Any]) -> None:
        """Tell of the differences between those who are there now and those who were before."""
        if self._mending_since < inf:
            return  # what is known is old, and our own session may be another one
        there = {who.session_id: who for who in participants if not self._is_own(who)}
        for session_id in [known for known in self._there if known not in there]:
            self._gone.add(session_id)
            self._audio.remove_speaker(session_id)
            self._listener.take_participant(self._there.pop(session_id), is_there=False)
        for session_id in [new for new in there if new not in self._there]:
            self._gone.discard(session_id)
            who = there[session_id]
            self._there[session_id] = StreamParticipant(who.user_id, session_id, who.name)
            self._listener.take_participant(self._there[session_id], is_there=True)

    def _is_own(self, participant: Any) -> bool:
        if self._own_session_id is None:
            return bool(participant.user_id == self._user_id)
        return bool(participant.session_id == self._own_session_id)


async def _catch_up_getstream_4(connection: Any) -> None:
    """Give getstream 4 the events that it has missed; see above."""
    from getstream.video.rtc.pb.stream.video.sfu.event import events_pb2

    client = connection.ws_client
    there = {who.session_id for who in client.first_message.join_response.call_state.participants}
    for who in connection.participants_state.get_participants():
        for track_type in who.published_tracks:
            event = events_pb2.TrackUnpublished(
                user_id=who.user_id, session_id=who.session_id, type=track_type, participant=who
            )
            client.emit("track_unpublished", event)
        if who.session_id not in there:
            client.emit("participant_left", events_pb2.ParticipantLeft(participant=who))
    await asyncio.sleep(0)  # its handlers are coroutines
    await connection.republish_tracks()


async def _close_getstream_4(connection: Any, socket: Any) -> None:
    """Close what ``leave`` of getstream 4 does not close in order."""
    from aiortc import RTCPeerConnection

    connection.running = False  # as above
    for peer_connection in (connection.publisher_pc, connection.subscriber_pc):
        if peer_connection is not None:
            await RTCPeerConnection.close(peer_connection)
    client = connection.ws_client
    if client is None or socket is None:
        return
    client.ping_thread = None
    with suppress(Exception):  # it is closed already, in one of many ways
        socket.send_close()
    if client.thread is not None:
        await asyncio.to_thread(client.thread.join, _CLOSE_TIMEOUT)
    socket.shutdown()


def _make_track(audio: BridgeAudio) -> Any:
    """Return the phone's audio as a track: stereo, since aiortc makes mono softer by 3 dB."""
    import av
    from aiortc.mediastreams import MediaStreamError
    from getstream.video.rtc.audio_track import AudioStreamTrack

    # Of its own tracks getstream 7 takes the size for that of its queue, which else is a minute:
    # what is said before the media connects would wait there, and all that follows would be late.
    class PhoneTrack(AudioStreamTrack):  # type: ignore[misc]  # getstream is Any to mypy
        def __init__(self, take: Callable[[], Any]) -> None:
            super().__init__(sample_rate=RATE, channels=2, audio_buffer_size_ms=_MAX_QUEUE_MS)
            self._take = take
            self._begin: float | None = None
            self._n_blocks = 0

        async def recv(self) -> Any:
            if self.readyState != "live":
                raise MediaStreamError
            if self._begin is None:
                self._begin = time.monotonic()
            late = time.monotonic() - self._begin - self._n_blocks * _PTIME
            if late < 0:
                await asyncio.sleep(-late)
            elif late > _MAX_LATENESS:
                self._n_blocks += int(late / _PTIME)
            stereo = np.repeat(self._take(), 2).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(stereo, format="s16", layout="stereo")
            frame.sample_rate = RATE
            frame.pts = self._n_blocks * BLOCK_SIZE
            frame.time_base = fractions.Fraction(1, RATE)
            self._n_blocks += 1
            return frame

    return PhoneTrack(audio.take_phone)
