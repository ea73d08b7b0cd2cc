"""Telnyx's end of a media stream in memory, and messages as Telnyx spells them."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import trio
import trio.testing
from numpy.typing import NDArray

from telnyx_trio._media_stream import MediaStream
from telnyx_trio.audio import PcmData
from telnyx_trio.testing import MemoryWebSocket, memory_websocket_pair

STOP = json.dumps({"event": "stop", "stream_id": "stream-1", "stop": {}})
SILENT_PACKET = b"\xff" * 160


def start_text(
    encoding: str = "PCMU", sample_rate: int = 8000, channels: int = 1, **further: Any
) -> str:
    """A ``start`` message."""
    media_format = {"encoding": encoding, "sample_rate": sample_rate, "channels": channels}
    body = {"call_control_id": "v3:abc", "media_format": media_format, **further}
    return json.dumps({"event": "start", "stream_id": "stream-1", "start": body})


def media_text(
    payload: bytes = SILENT_PACKET, *, chunk: int | None = None, track: str = "inbound"
) -> str:
    """A ``media`` message of Telnyx's."""
    media: dict[str, Any] = {"track": track, "payload": b64encode(payload).decode()}
    if chunk is not None:
        media["chunk"] = str(chunk)
    return json.dumps({"event": "media", "stream_id": "stream-1", "media": media})


def mark_text(name: str) -> str:
    """A mark that comes back."""
    return json.dumps({"event": "mark", "stream_id": "stream-1", "mark": {"name": name}})


def error_text(code: int) -> str:
    """A complaint of Telnyx's."""
    payload = {"code": code, "title": "a title", "detail": "a detail"}
    return json.dumps({"event": "error", "stream_id": "stream-1", "payload": payload})


def dtmf_text(digit: str) -> str:
    """A key press."""
    return json.dumps({"event": "dtmf", "stream_id": "stream-1", "dtmf": {"digit": digit}})


def pcm_of(samples: NDArray[np.int16], sample_rate: int = 8000) -> PcmData:
    """Mono audio of these samples."""
    return PcmData(sample_rate, "s16", samples)


def silence(duration: float, sample_rate: int = 8000) -> PcmData:
    """So many seconds of zeros."""
    return pcm_of(np.zeros(round(duration * sample_rate), np.int16), sample_rate)


class StreamPeer:
    """What Telnyx does with its end: says what it is told to, and notes what comes and when.

    Attributes:
        received: Trio's time and the decoded message, in order.
    """

    def __init__(self, websocket: MemoryWebSocket) -> None:
        self.websocket = websocket
        self.received: list[tuple[float, dict[str, Any]]] = []

    async def send(self, *texts: str) -> None:
        """Send messages and let the other side take them."""
        for text in texts:
            await self.websocket.send_text(text)
        await trio.testing.wait_all_tasks_blocked()

    async def record(self) -> None:
        """Take what comes until the socket ends."""
        while True:
            try:
                text = await self.websocket.receive_text()
            except (trio.EndOfChannel, trio.BrokenResourceError, trio.ClosedResourceError):
                return
            self.received.append((trio.current_time(), json.loads(text)))

    @property
    def events(self) -> list[str]:
        """Names of what came."""
        return [str(message["event"]) for _, message in self.received]

    @property
    def payloads(self) -> list[bytes]:
        """Audio that came."""
        return [
            b64decode(message["media"]["payload"])
            for _, message in self.received
            if message["event"] == "media"
        ]

    @property
    def media_times(self) -> list[float]:
        """When each packet came."""
        return [time for time, message in self.received if message["event"] == "media"]


@asynccontextmanager
async def running_stream(
    *, started: bool = True, max_messages: int = 10_000, **options: Any
) -> AsyncGenerator[tuple[MediaStream, StreamPeer], None]:
    """Run a stream against a peer that reads all, until the body is done.

    Args:
        started: whether ``start`` (PCMU) has come.
        max_messages: that the connection holds in one direction.
        **options: of the stream.
    """
    client, server = memory_websocket_pair(max_messages=max_messages)
    stream = MediaStream(server, **options)
    peer = StreamPeer(client)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.run)
        nursery.start_soon(peer.record)
        if started:
            await peer.send(start_text())
        yield stream, peer
        nursery.cancel_scope.cancel()
