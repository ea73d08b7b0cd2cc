"""One public port: media sockets stay here, every other request goes to hypercorn.

::

    Telnyx ──TCP──► listener ─┬─ GET /telnyx/media...  ─► trio-websocket ─► handle_media
                              └─ anything else         ─► private Unix socket ─► hypercorn ─► ASGI

Why not hypercorn for all: its Trio worker (0.18) writes to sockets inside an unbounded shield, so
that a media peer that stops reading would make its call, and the whole server, uncancellable.

The request's head is read here, up to its blank line, to see where it belongs; then it is put back
in front of the stream. A request for hypercorn also gets a header with the peer's address and
``Connection: close``: one connection carries one request, so none slips past this look.
"""

from __future__ import annotations

import logging
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

import hypercorn.trio
import trio
from hypercorn.config import Config

from .._errors import RemoteProtocolError
from .._types import MEDIA_PATH
from .._websocket import open_server_websocket
from ._asgi import PEER_HEADER, AsgiApplication
from ._server import MediaRequest

if TYPE_CHECKING:
    from ._server import CallServer

logger = logging.getLogger("telnyx_trio.server")

_MAX_HEAD_SIZE_BYTES: Final = 16 * 1024
_HEAD_TIMEOUT: Final = 10.0
_REQUEST_TIMEOUT: Final = 30.0
"""Seconds for one plain HTTP request, from head to reply."""
_CHUNK_SIZE_BYTES: Final = 16 * 1024
_MAX_CONNECTIONS: Final = 2_000
"""Connections at a time that are not media; more wait to be accepted."""


class PrefixedStream(trio.abc.Stream):
    """A stream that first gives back bytes that were read from it already."""

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


async def open_listeners(host: str, port: int) -> tuple[list[trio.SocketListener], str]:
    """Listen, and return the listeners with the URL at which they are reached from this machine.

    Raises:
        OSError: the address can't be listened at.
    """
    listeners = await trio.open_tcp_listeners(port, host=host)
    bound_port = listeners[0].socket.getsockname()[1]
    reachable = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)
    shown = f"[{reachable}]" if ":" in reachable else reachable
    return listeners, f"http://{shown}:{bound_port}"


async def serve_listeners(
    server: CallServer,
    listeners: list[trio.SocketListener],
    shutdown: trio.Event,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve a call server at these listeners until ``shutdown`` is set; hypercorn is told last."""
    with tempfile.TemporaryDirectory(prefix="telnyx-trio-") as directory:
        http_path = str(Path(directory, "http"))
        http_shutdown = trio.Event()
        async with trio.open_nursery() as http_nursery:
            await http_nursery.start(_serve_http, server, http_path, http_shutdown)
            async with trio.open_nursery() as nursery:
                connections = _Connections(server, http_path)
                await nursery.start(trio.serve_listeners, connections.serve, listeners)
                task_status.started()
                await shutdown.wait()
                nursery.cancel_scope.cancel()
            http_shutdown.set()


async def _serve_http(
    server: CallServer,
    path: str,
    shutdown: trio.Event,
    *,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    config = Config()
    config.bind = [f"unix:{path}"]
    config.errorlog = logging.getLogger("telnyx_trio.http")
    config.graceful_timeout = 1.0
    config.keep_alive_timeout = _HEAD_TIMEOUT
    config.include_server_header = False
    await hypercorn.trio.serve(
        AsgiApplication(server),  # type: ignore[arg-type]
        config,
        shutdown_trigger=shutdown.wait,
        task_status=task_status,
    )


class _Connections:
    """Serves the connections of the public port."""

    def __init__(self, server: CallServer, http_path: str) -> None:
        self._server = server
        self._http_path = http_path
        self._plain = trio.CapacityLimiter(_MAX_CONNECTIONS)
        # A handshake is CPU work; one at a time lets running calls have their turn in between.
        self._handshakes = trio.CapacityLimiter(1)

    async def serve(self, stream: trio.SocketStream) -> None:
        """Serve one connection; whatever goes wrong stays with it."""
        try:
            async with stream:
                await self._serve(stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError, RemoteProtocolError):
            pass
        except Exception:
            logger.exception("a connection failed")

    async def _serve(self, stream: trio.SocketStream) -> None:
        peer = _peer_of(stream)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._plain)
            head = await _read_head(stream)
            if head is None:
                return
            path = _path_of(head)
            if not _is_media(path):
                with trio.move_on_after(_REQUEST_TIMEOUT):
                    await self._relay(stream, head, peer)
                return
        await self._serve_media(PrefixedStream(head, stream), path, peer)

    async def _serve_media(self, stream: trio.abc.Stream, path: str, peer: str) -> None:
        async with AsyncExitStack() as stack:
            async with self._handshakes:
                websocket = await stack.enter_async_context(open_server_websocket(stream))
            request = MediaRequest(path, tuple(websocket.headers), peer)
            await self._server.handle_media(websocket, request)

    async def _relay(self, stream: trio.SocketStream, head: bytes, peer: str) -> None:
        request_line, _, rest = head.partition(b"\r\n")
        added = b"%s: %s\r\nconnection: close\r\n" % (PEER_HEADER, peer.encode())
        async with await trio.open_unix_socket(self._http_path) as http:
            await http.send_all(request_line + b"\r\n" + added + rest)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_copy_request, stream, http)
                await _copy_reply(http, stream)
                nursery.cancel_scope.cancel()


async def _copy_request(source: trio.SocketStream, target: trio.SocketStream) -> None:
    try:
        async for data in source:
            await target.send_all(data)
        await target.send_eof()
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass


async def _copy_reply(source: trio.SocketStream, target: trio.SocketStream) -> None:
    while data := await source.receive_some(_CHUNK_SIZE_BYTES):
        await target.send_all(data)


async def _read_head(stream: trio.SocketStream) -> bytes | None:
    """Return a request's head and what came with it; None if there is no sound one in time."""
    head = bytearray()
    with trio.move_on_after(_HEAD_TIMEOUT):
        while b"\r\n\r\n" not in head:
            if len(head) > _MAX_HEAD_SIZE_BYTES:
                await stream.send_all(
                    b"HTTP/1.1 431 \r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
                )
                return None
            data = await stream.receive_some(_CHUNK_SIZE_BYTES)
            if not data:
                return None
            head += data
        return bytes(head)
    return None


def _path_of(head: bytes) -> str:
    parts = head.partition(b"\r\n")[0].split(b" ")
    return parts[1].decode("latin-1") if len(parts) == 3 else ""


def _is_media(path: str) -> bool:
    bare = path.partition("?")[0]
    return bare.endswith(MEDIA_PATH) or f"{MEDIA_PATH}/" in bare


def _peer_of(stream: trio.SocketStream) -> str:
    try:
        return str(stream.socket.getpeername()[0])
    except (OSError, IndexError):
        return "unknown"
