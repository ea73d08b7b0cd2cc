"""A participant for tests: getstream's own SDK, in a thread with an asyncio loop of its own."""

from __future__ import annotations

import asyncio
import fractions
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from typing import Any, Final

import aiohttp
import aiortc
import av
import numpy as np
from getstream import AsyncStream
from getstream.video import rtc
from getstream.video.rtc.pb.stream.video.sfu.models.models_pb2 import TrackType
from getstream.video.rtc.pb.stream.video.sfu.signal_rpc import signal_pb2
from getstream.video.rtc.tracks import SubscriptionConfig, TrackSubscriptionConfig
from marked_audio import Timeline
from numpy.typing import NDArray
from watched import Watched

from ._service import API_KEY, API_SECRET

RATE: Final = 48000
_SIZE: Final = 960


class _Playing(aiortc.MediaStreamTrack):  # type: ignore[misc]  # aiortc is Any to mypy
    """Plays samples round and round, at a speed that need not be that of our clock."""

    kind = "audio"

    def __init__(self, samples: NDArray[np.int16], guest: Guest) -> None:
        super().__init__()
        self._samples = samples
        self._guest = guest
        self._at = 0
        self._due: float | None = None

    async def recv(self) -> Any:
        if self.readyState != "live":
            raise aiortc.mediastreams.MediaStreamError
        if self._due is None:
            self._due = time.monotonic()
        await asyncio.sleep(max(0.0, self._due - time.monotonic()))
        self._due += _SIZE / (RATE * self._guest.speed)
        samples = self._samples[np.arange(self._at, self._at + _SIZE) % len(self._samples)]
        self._guest.said.add(time.monotonic(), samples)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE, self._at
        frame.time_base = fractions.Fraction(1, RATE)
        self._at += _SIZE
        return frame


class Guest(Watched):
    """Somebody in a Stream call: what they say is given, what they hear is kept.

    Attributes:
        user_id: the name.
        speed: of the guest's sample clock, 1.0 being ours.
        said: what was said, when.
        heard: what was heard, when, at 48000 Hz, by the user id of who spoke.
        seen: ("participant_joined" or "participant_left", user id) as they came.
        n_losses: how often the SDK lost its connection, and set about to mend it.
    """

    def __init__(self, user_id: str, speed: float) -> None:
        super().__init__()
        self.user_id = user_id
        self.speed = speed
        self.said = Timeline(RATE)
        self.heard: defaultdict[str, Timeline] = defaultdict(lambda: Timeline(RATE))
        self.seen: list[tuple[str, str]] = []
        self.n_losses = 0
        self.ready = threading.Event()
        self.error: BaseException | None = None

    def samples(self, of: str) -> NDArray[np.int16]:
        """Return all that was heard of one speaker."""
        return self.heard[of].samples()

    def heard_for(self, of: str) -> float:
        """Return the seconds that were heard of one speaker."""
        return self.heard[of].n_samples / RATE

    async def stay(
        self,
        url: str,
        call_id: str,
        says: NDArray[np.int16] | None,
        stop: asyncio.Event,
    ) -> None:
        """Be in the call until ``stop`` is set."""
        client = AsyncStream(api_key=API_KEY, api_secret=API_SECRET, base_url=url)
        call = client.video.call("default", call_id)
        config = SubscriptionConfig(
            default=TrackSubscriptionConfig(track_types=[TrackType.TRACK_TYPE_AUDIO])
        )
        connection = await rtc.join(call, self.user_id, subscription_config=config)
        connection.on("audio", self._hear)
        connection.on("connection.state_changed", self._note_state)
        for name in ("participant_joined", "participant_left"):
            connection.on(name, lambda event, name=name: self._see(name, event))
        async with connection, AsyncExitStack() as published:
            if hasattr(connection, "republish_tracks"):
                await connection.republish_tracks()
            if says is not None and self.speed != 1.0 and hasattr(connection, "_rust_call"):
                session_id = await connection._rust_call.session_id()
                playing = _Playing(says, self)
                await published.enter_async_context(_published(url, session_id, playing))
            elif says is not None:
                await connection.add_tracks(audio=_Playing(says, self))
            self.ready.set()
            await stop.wait()
            if hasattr(connection, "ws_client"):
                await _close_getstream_4(connection)
        await client.aclose()

    def _hear(self, pcm: Any) -> None:
        samples = np.asarray(pcm.samples)
        if samples.ndim == 2:
            samples = samples.mean(axis=0).astype(np.int16)
        self.heard[pcm.participant.user_id].add(time.monotonic(), samples)
        self.changed()

    def _see(self, name: str, event: Any) -> None:
        self.seen.append((name, event.participant.user_id))
        self.changed()

    def _note_state(self, change: Any) -> None:
        self.n_losses += str(change["new"]).upper().endswith("RECONNECTING")

    def wait_ready(self) -> None:
        if not self.ready.wait(30) or self.error is not None:
            raise RuntimeError(f"{self.user_id} did not get into the call") from self.error


@asynccontextmanager
async def _published(url: str, session_id: str, track: _Playing) -> AsyncIterator[None]:
    """Publish for a session of getstream 7, which sends by our clock whatever it is given when."""
    asked = f"{url}/twirp/stream.video.sfu.signal.SignalServer/SetPublisher"
    connection = aiortc.RTCPeerConnection()
    try:
        connection.addTrack(track)
        await connection.setLocalDescription(await connection.createOffer())
        request = signal_pb2.SetPublisherRequest(
            sdp=connection.localDescription.sdp, session_id=session_id
        )
        async with (
            aiohttp.ClientSession(raise_for_status=True) as http,
            http.post(asked, data=request.SerializeToString()) as reply,
        ):
            sdp = signal_pb2.SetPublisherResponse.FromString(await reply.read()).sdp
        await connection.setRemoteDescription(aiortc.RTCSessionDescription(sdp, "answer"))
        yield
    finally:
        await connection.close()


async def _close_getstream_4(connection: Any) -> None:
    """Close what its ``leave`` forgets, or waits for in vain."""
    connection.running = False
    for peer_connection in (connection.publisher_pc, connection.subscriber_pc):
        if peer_connection is not None:
            await aiortc.RTCPeerConnection.close(peer_connection)
    client = connection.ws_client
    client.ping_thread = None
    if (socket := getattr(client.ws, "sock", None)) is not None:
        with suppress(Exception):
            socket.send_close()
        await asyncio.to_thread(client.thread.join, 1.0)
        socket.shutdown()


@contextmanager
def open_guest(
    url: str,
    call_id: str,
    user_id: str,
    *,
    says: NDArray[np.int16] | None = None,
    speed: float = 1.0,
) -> Iterator[Guest]:
    """Have somebody in the call for as long as the body runs.

    Args:
        url: of the stand-in.
        call_id: of a call of the type "default".
        user_id: who it is.
        says: int16 at 48000 Hz, repeated for ever.
        speed: of the guest's sample clock, 1.0 being ours. Another is that of what is sent, too,
            so that a guest with getstream 7 publishes by aiortc then.
    """
    guest = Guest(user_id, speed)
    stop = asyncio.Event()
    loop_of: list[asyncio.AbstractEventLoop] = []

    def run() -> None:
        with asyncio.Runner() as runner:
            loop_of.append(runner.get_loop())
            try:
                runner.run(guest.stay(url, call_id, says, stop))
            except BaseException as error:
                guest.error = error
            finally:
                guest.ready.set()

    thread = threading.Thread(target=run, name=f"guest {user_id}", daemon=True)
    thread.start()
    try:
        guest.wait_ready()
        yield guest
    finally:
        with suppress(RuntimeError):  # the loop is closed, as the guest did not get in
            loop_of[0].call_soon_threadsafe(stop.set)
        thread.join(20)
        if thread.is_alive():
            raise RuntimeError(f"{user_id} does not leave")
