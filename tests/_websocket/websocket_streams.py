"""Streams for handshakes: a legal request, and streams that remember being closed."""

from __future__ import annotations

import trio
import trio.testing

REQUEST = (
    b"GET /media?token=x HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n\r\n"
)


class WatchedClose(trio.abc.Stream):
    """A stream that remembers being closed."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self.is_closed = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        self.is_closed = True
        await self._stream.aclose()


def stream_pair() -> tuple[WatchedClose, trio.testing.MemorySendStream, trio.abc.Stream]:
    ours, theirs = trio.testing.memory_stream_pair()
    return WatchedClose(ours), theirs.send_stream, theirs
