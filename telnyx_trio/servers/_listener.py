"""One public port: media sockets stay here, every other request goes to hypercorn.

::

    Telnyx ──TCP──► listener ─┬─ GET /telnyx/media...  ─► websockets ─► handle_media
                              └─ anything else         ─► private Unix socket ─► hypercorn ─► ASGI

Why not hypercorn for all: its Trio worker (0.18) writes to sockets inside an unbounded shield, so
that a media peer that stops reading would make its call, and the whole server, uncancellable.

The request's head is read here to see where it belongs. A media socket is taken from its stream,
and its head read once more. Of any other connection hypercorn gets exactly one request, written
anew with its whole body: no media can hide behind it, and no bytes too many, which can bring down
hypercorn's worker (seen with 0.18). It also gets a header with the peer's address, whose name is a
secret of this process, so that nobody else can send it. Should media get to hypercorn all the same,
the application takes none there; should its worker fail, it is started again, and the calls do not
notice.

Strangers can open connections and say nothing. Those without media are counted, and beyond a number
the one that has been there for longest goes: Telnyx says all it has to say at once.
"""

from __future__ import annotations

import errno
import logging
import secrets
import socket
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import hypercorn.trio
import trio
from hypercorn.config import Config

from .._errors import RemoteProtocolError
from .._types import MAX_BODY_SIZE_BYTES, MEDIA_PATH
from .._websocket import (
    AsgiWebSocket,
    IngestPolicy,
    MediaClock,
    Readiness,
    open_socket_websocket,
)
from ._asgi import AsgiApplication, Receive, Scope, Send
from ._request import BadRequest, Request, receive_request
from ._values import MediaRequest

if TYPE_CHECKING:
    from ._server import CallServer

logger = logging.getLogger("telnyx_trio.server")

MAX_PLAIN_CONNECTIONS: Final = 200
"""Connections at a time that are not media. Each takes up to three file descriptors, of which a
process has 1024 unless told otherwise, and calls need theirs."""

_HEAD_TIMEOUT: Final = 10.0
_REQUEST_TIMEOUT: Final = 30.0
"""Seconds for one plain HTTP request, from head to reply."""

_LINGER_TIMEOUT: Final = 1.0
"""Seconds to read on after the reply. Closing a socket with unread bytes in it would reset the
connection, and the peer might never see what it was told."""

MAX_RELAYS: Final = 4
"""Requests that hypercorn has at a time. Each is 1.5 ms of work in many turns, and what else is to
run waits for a turn of each. Measured, 100 calls that come at once beside 50: p99 of the running
ones 16 ms, and without this bound 24; of the first packets of the others 20 and 60."""

_RESTART_PAUSE: Final = 0.05
_MAX_RESTART_PAUSE: Final = 5.0
"""Seconds from a failure of hypercorn to its next start: each time twice as long, up to this."""

_CHUNK_SIZE_BYTES: Final = 16 * 1024

_REFUSAL: Final = b"HTTP/1.1 %d \r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


async def open_listeners(host: str, port: int) -> tuple[list[trio.SocketListener], str]:
    """Listen, and return the listeners with the URL at which they are reached from this machine.

    Raises:
        OSError: the address can't be listened at.
    """
    try:
        listeners = await trio.open_tcp_listeners(port, host=host)
    except OSError as error:
        is_taken = error.errno == errno.EADDRINUSE
        remedy = "; end what listens there, or choose another port" if is_taken else ""
        text = f"can't listen at {host}:{port}: {error.strerror}{remedy}"
        raise OSError(error.errno, text) from error
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
        peer_header = f"x-telnyx-trio-peer-{secrets.token_hex(8)}".encode()
        http_shutdown = trio.Event()
        async with trio.open_nursery() as http_nursery:
            application = _PlainApplication(server, peer_header)
            await http_nursery.start(_serve_http, application, http_path, http_shutdown)
            async with trio.open_nursery() as nursery:
                clock = MediaClock(IngestPolicy(server.config.ingest))
                nursery.start_soon(clock.run)
                connections = _Connections(server, http_path, peer_header, clock)
                await nursery.start(trio.serve_listeners, connections.serve, listeners)
                task_status.started()
                await shutdown.wait()
                nursery.cancel_scope.cancel()
            http_shutdown.set()


class _PlainApplication:
    """The application as hypercorn sees it here: peers named by a header, no media."""

    def __init__(self, server: CallServer, peer_header: bytes) -> None:
        self._application = AsgiApplication(server)
        self._peer_header = peer_header

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await AsgiWebSocket(scope, receive, send).aclose()
            return
        if scope["type"] == "http":
            peers = [value for name, value in scope["headers"] if name == self._peer_header]
            scope = {**scope, "client": (peers[0].decode("latin-1"), 0) if peers else None}
        await self._application(scope, receive, send)


async def _serve_http(
    application: _PlainApplication,
    path: str,
    shutdown: trio.Event,
    *,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    config = Config()
    config.errorlog = _http_logger()
    config.graceful_timeout = 1.0
    config.keep_alive_timeout = _HEAD_TIMEOUT
    config.include_server_header = False
    first_start = _FirstStart(task_status)
    pause = _RESTART_PAUSE
    while not shutdown.is_set():
        try:
            config.bind = [f"fd://{_bind_privately(path)}"]
            await hypercorn.trio.serve(
                application,  # type: ignore[arg-type]
                config,
                shutdown_trigger=shutdown.wait,
                task_status=first_start,
            )
        except Exception:
            if not first_start.was_made:
                raise
            logger.exception("hypercorn failed and is started again")
        with trio.move_on_after(pause):
            await shutdown.wait()
        pause = min(2 * pause, _MAX_RESTART_PAUSE)


def _bind_privately(path: str) -> int:
    """Return the file descriptor of a new socket at this path.

    Bound here: hypercorn 0.18 leaves its socket open when the address can't be had.
    """
    Path(path).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
    except OSError as error:
        listener.close()
        directory = Path(path).parent.parent
        raise OSError(f"no private socket in {directory} (see TMPDIR): {error}") from error
    return listener.detach()


class _FirstStart(trio.TaskStatus[list[str]]):
    """Passes on the first start, and remembers it."""

    def __init__(self, task_status: trio.TaskStatus[list[str]]) -> None:
        self.was_made = False
        self._task_status = task_status

    def started(self, value: list[str] | None = None) -> None:
        if not self.was_made:
            self.was_made = True
            self._task_status.started(value or [])


def _http_logger() -> logging.Logger:
    """Return hypercorn's logger; its news of a private socket are nobody's, its errors are."""
    http_logger = logging.getLogger("telnyx_trio.http")
    if http_logger.level == logging.NOTSET:
        http_logger.setLevel(logging.WARNING)
    return http_logger


class _Connections:
    """Serves the connections of the public port."""

    def __init__(
        self,
        server: CallServer,
        http_path: str,
        peer_header: bytes,
        readiness: Readiness,
    ) -> None:
        self._server = server
        self._http_path = http_path
        self._peer_header = peer_header
        self._readiness = readiness
        self._plain: dict[trio.CancelScope, None] = {}
        # A handshake is CPU work; one at a time lets running calls have their turn in between.
        self._handshakes = trio.CapacityLimiter(1)
        self._relays = trio.CapacityLimiter(MAX_RELAYS)

    async def serve(self, stream: trio.SocketStream) -> None:
        """Serve one connection; whatever goes wrong stays with it."""
        try:
            async with stream:
                await self._serve(stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError, RemoteProtocolError) as error:
            logger.debug("a connection ended: %s", error)
        except OSError as error:
            logger.error("a connection could not be served: %s", error)
        except Exception:
            logger.exception("a connection failed")

    async def _serve(self, stream: trio.SocketStream) -> None:
        peer = _peer_of(stream)
        media_request = None
        with self._evictable():
            try:
                media_request = await self._serve_plain(stream, peer)
            except BadRequest as error:
                await stream.send_all(_REFUSAL % error.status)
                await _linger(stream)
        if media_request is not None:
            await self._serve_media(stream, media_request, peer)

    async def _serve_plain(self, stream: trio.SocketStream, peer: str) -> Request | None:
        """Serve one request; return it instead if it asks for a media socket."""
        request = None
        with trio.move_on_after(_HEAD_TIMEOUT):
            request = await receive_request(stream)
        if request is None or _is_media(request.path):
            return request
        with trio.move_on_after(_REQUEST_TIMEOUT):
            body = await request.receive_body()
            if body is not None:
                await self._relay(stream, request, body, peer)
                await _linger(stream)
        return None

    @contextmanager
    def _evictable(self) -> Iterator[None]:
        with trio.CancelScope() as scope:
            self._plain[scope] = None
            if len(self._plain) > MAX_PLAIN_CONNECTIONS:
                oldest = next(iter(self._plain))
                del self._plain[oldest]
                oldest.cancel()
            try:
                yield
            finally:
                self._plain.pop(scope, None)

    async def _serve_media(self, stream: trio.SocketStream, request: Request, peer: str) -> None:
        sock = _take_socket(stream)
        async with AsyncExitStack() as stack:
            stack.callback(sock.close)  # cancelled before its turn, nobody else would
            async with self._handshakes:
                websocket = await stack.enter_async_context(
                    open_socket_websocket(sock, request.received, readiness=self._readiness)
                )
            media_request = MediaRequest(request.path, tuple(websocket.headers), peer)
            await self._server.handle_media(websocket, media_request)

    async def _relay(
        self, stream: trio.SocketStream, request: Request, body: bytes, peer: str
    ) -> None:
        async with self._relays, await trio.open_unix_socket(self._http_path) as http:
            # hypercorn may reply, and read no more, before it has the whole request.
            with suppress(trio.BrokenResourceError):
                await http.send_all(request.rewritten(body, [(self._peer_header, peer.encode())]))
            await _copy_reply(http, stream)


async def _copy_reply(http: trio.SocketStream, target: trio.SocketStream) -> None:
    while True:
        try:
            data = await http.receive_some(_CHUNK_SIZE_BYTES)
        except trio.BrokenResourceError:
            return
        if not data:
            return
        await target.send_all(data)


async def _linger(stream: trio.SocketStream) -> None:
    with trio.move_on_after(_LINGER_TIMEOUT), suppress(trio.BrokenResourceError):
        await stream.send_eof()
        for _ in range(MAX_BODY_SIZE_BYTES // _CHUNK_SIZE_BYTES):
            if not await stream.receive_some(_CHUNK_SIZE_BYTES):
                return


def _take_socket(stream: trio.SocketStream) -> socket.socket:
    """Take a stream's socket away from it, for whom Trio's low level is enough."""
    sock = socket.socket(fileno=stream.socket.detach())
    sock.setblocking(False)
    return sock


def _is_media(path: str) -> bool:
    bare = path.partition("?")[0]
    return bare.endswith(MEDIA_PATH) or f"{MEDIA_PATH}/" in bare


def _peer_of(stream: trio.SocketStream) -> str:
    try:
        return str(stream.socket.getpeername()[0])
    except (OSError, IndexError):
        return "unknown"
