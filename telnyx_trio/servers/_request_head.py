"""The head of an HTTP/1 request: read off a stream to see where it belongs, and put back.

It is read more strictly than HTTP servers do, so that no two readers see two requests in the same
bytes. Telnyx, and the proxies that stand before a server, send nothing that is refused here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import trio

from .._types import MAX_BODY_SIZE_BYTES

MAX_HEAD_SIZE_BYTES: Final = 16 * 1024
"""A webhook of Telnyx has under 1 kB, with a few proxies in between 4."""

_CHUNK_SIZE_BYTES: Final = 16 * 1024
_REQUEST_LINE: Final = re.compile(rb"[!-~]+ ([!-~]+) HTTP/1\.[01]")
# No folded lines, no line ends but CR LF.
_HEADER: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*?)[ \t]*")
_LENGTH: Final = re.compile(rb"\d{1,9}")


@dataclass(frozen=True)
class RequestHead:
    """The head of one request.

    Attributes:
        received: everything read so far: the head, its blank line, and perhaps more.
        path: the request's target, query included; may hold a token.
        content_length: of the body, in bytes.
    """

    received: bytes
    path: str
    content_length: int

    def __repr__(self) -> str:
        return f"<RequestHead {len(self.received)} bytes>"


async def receive_head(stream: trio.abc.ReceiveStream) -> RequestHead | HTTPStatus | None:
    """Read a request's head off a stream.

    Returns:
        The head; the status to refuse it with; or None if the peer left before it was complete.

    Blocks: until it is complete, or seen to be unsound.
    """
    received = bytearray()
    while True:
        line, line_is_complete, _ = received.partition(b"\r\n")
        if line_is_complete and not _REQUEST_LINE.fullmatch(line):
            return HTTPStatus.BAD_REQUEST
        if b"\r\n\r\n" in received:
            return parse_head(bytes(received))
        if len(received) > MAX_HEAD_SIZE_BYTES:
            return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        data = await stream.receive_some(_CHUNK_SIZE_BYTES)
        if not data:
            return None
        received += data


def parse_head(received: bytes) -> RequestHead | HTTPStatus:
    """Parse a complete head; return the status to refuse it with if it is not sound."""
    line, *fields = received.partition(b"\r\n\r\n")[0].split(b"\r\n")
    target = _REQUEST_LINE.fullmatch(line)
    headers = [_HEADER.fullmatch(field) for field in fields]
    if target is None or None in headers:
        return HTTPStatus.BAD_REQUEST
    lengths = []
    for header in headers:
        assert header is not None
        name, value = header[1].lower(), header[2]
        if name == b"transfer-encoding":
            return HTTPStatus.LENGTH_REQUIRED
        if name == b"content-length":
            lengths.append(value)
    if len(lengths) > 1 or (lengths and not _LENGTH.fullmatch(lengths[0])):
        return HTTPStatus.BAD_REQUEST
    content_length = int(lengths[0]) if lengths else 0
    if content_length > MAX_BODY_SIZE_BYTES:
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    return RequestHead(received, target[1].decode("ascii"), content_length)


class PrefixedStream(trio.abc.Stream):
    """A stream that first gives back bytes that were read from it already.

    Args:
        head: those bytes.
        stream: owned from now on.
    """

    def __init__(self, head: bytes, stream: trio.abc.Stream) -> None:
        self._head = head
        self._stream = stream

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receive, the head first; otherwise as the stream below."""
        if self._head:
            await trio.lowlevel.checkpoint()
            size = len(self._head) if max_bytes is None else max_bytes
            data, self._head = self._head[:size], self._head[size:]
            return data
        return bytes(await self._stream.receive_some(max_bytes))

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send as the stream below."""
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait as the stream below."""
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Close the stream below."""
        await self._stream.aclose()
