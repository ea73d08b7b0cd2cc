"""One HTTP/1 request off a stream, with h11: its head first, then, if it is wanted, its body.

h11 is what hypercorn and wsproto read requests with too, so no two readers see two requests in the
same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final, cast

import h11
import trio

from .._types import MAX_BODY_SIZE_BYTES

MAX_HEAD_SIZE_BYTES: Final = 16 * 1024
"""A webhook of Telnyx has under 1 kB, with a few proxies in between 4."""

_CHUNK_SIZE_BYTES: Final = 16 * 1024

_HOP_BY_HOP: Final = frozenset(
    (b"connection", b"content-length", b"expect", b"keep-alive", b"transfer-encoding", b"upgrade")
)
"""Headers that speak of this connection, not of the request (RFC 9110 section 7.6.1)."""


class BadRequest(Exception):
    """The request is unsound or too large.

    Attributes:
        status: to refuse it with.
    """

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Request:
    """A request whose head has been read.

    Attributes:
        received: every byte read so far: the head, its blank line, and perhaps more.
        path: the request's target, query included; may hold a token.
    """

    def __init__(
        self,
        received: bytes,
        head: h11.Request,
        connection: h11.Connection,
        stream: trio.abc.Stream,
    ) -> None:
        self.received: Final = received
        self.path: Final = head.target.decode("ascii")
        self._head = head
        self._connection = connection
        self._stream = stream

    def __repr__(self) -> str:
        return f"<Request {self._head.method!r}>"

    async def receive_body(self) -> bytes | None:
        """Return the body, whether its length was told or it comes in chunks.

        Returns:
            None if the peer left before it was complete.

        Raises:
            BadRequest: it is too large or unsound.
        """
        parts: list[bytes] = []
        size = 0
        if self._connection.they_are_waiting_for_100_continue:
            go_on = h11.InformationalResponse(status_code=HTTPStatus.CONTINUE, headers=[])
            await self._stream.send_all(self._connection.send(go_on) or b"")
        while True:
            event = await _next_event(self._connection, self._stream)
            if isinstance(event, h11.Data):
                size += len(event.data)
                if size > MAX_BODY_SIZE_BYTES:
                    raise BadRequest(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
                parts.append(bytes(event.data))
            else:
                return b"".join(parts) if isinstance(event, h11.EndOfMessage) else None

    def rewritten(self, body: bytes, added: Sequence[tuple[bytes, bytes]]) -> bytes:
        """Return the request as the only one of a connection, with its whole body.

        Args:
            body: as received.
            added: headers to put first; none of these names may come from the peer.
        """
        names = {name for name, _ in added}
        kept = [
            (name, value)
            for name, value in self._head.headers
            if name not in _HOP_BY_HOP and name not in names
        ]
        if not any(name == b"host" for name, _ in kept):
            kept.append((b"host", b"localhost"))  # HTTP/1.0 can do without, HTTP/1.1 cannot
        length = (b"content-length", b"%d" % len(body))
        connection = h11.Connection(h11.CLIENT)
        head = h11.Request(
            method=self._head.method,
            target=self._head.target,
            headers=[*added, (b"connection", b"close"), *([length] if body else []), *kept],
        )
        parts = [connection.send(head), connection.send(h11.Data(data=body)) if body else b""]
        return b"".join(part or b"" for part in parts)


async def receive_request(stream: trio.abc.Stream) -> Request | None:
    """Read a request's head off a stream.

    Returns:
        The request, or None if the peer left before its head was complete.

    Raises:
        BadRequest: the head is unsound, or much larger than 16 KiB; or the body is too large
            already by what the head says.
    Blocks: until the head is complete, or seen to be unsound.
    """
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_SIZE_BYTES)
    recorder = _Recorder(stream)
    event = await _next_event(connection, recorder)
    if not isinstance(event, h11.Request):
        return None
    if event.http_version not in (b"1.0", b"1.1"):
        raise BadRequest(HTTPStatus.BAD_REQUEST)
    for name, value in event.headers:
        if name == b"content-length" and int(value) > MAX_BODY_SIZE_BYTES:
            raise BadRequest(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return Request(bytes(recorder.received), event, connection, stream)


class _Recorder:
    """Receives from a stream and remembers what."""

    def __init__(self, stream: trio.abc.ReceiveStream) -> None:
        self.received = bytearray()
        self._stream = stream

    async def receive_some(self, max_bytes: int) -> bytes:
        data = bytes(await self._stream.receive_some(max_bytes))
        self.received += data
        return data


async def _next_event(
    connection: h11.Connection, source: _Recorder | trio.abc.ReceiveStream
) -> h11.Event | type[h11.PAUSED]:
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError as error:
            raise BadRequest(error.error_status_hint) from error
        if event is not h11.NEED_DATA:
            return cast("h11.Event | type[h11.PAUSED]", event)
        connection.receive_data(bytes(await source.receive_some(_CHUNK_SIZE_BYTES)))
