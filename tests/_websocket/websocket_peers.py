"""The other end of a WebSocket under test: what the peer does is done step by step, by the test."""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncGenerator, Mapping, MutableMapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Protocol

import hypercorn.config
import hypercorn.trio
import trio
import trio_websocket
from starlette.websockets import WebSocket as Starlette
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    Request,
    TextMessage,
)

from telnyx_trio._websocket import (
    MediaClock,
    Readiness,
    TrioWebSocket,
    WebSocket,
    as_websocket,
    open_client_websocket,
    open_server_websocket,
    open_socket_websocket,
)
from telnyx_trio._websocket._media_clock import IngestPolicy
from telnyx_trio.testing._memory_websocket import MemoryWebSocket, memory_websocket_pair

PATH = "/telnyx/media/token?a=b"
MAX_SIZE_BYTES = 10_000


class Peer(Protocol):
    """What every kind of peer can do. It does nothing by itself: it answers when told to."""

    async def send(self, message: str | bytes) -> None:
        """Send one message."""

    async def receive(self) -> str:
        """Return the next message, answering pings on the way."""

    async def close(self, code: int) -> None:
        """Close with a close frame."""

    async def wait_closed(self) -> int:
        """Wait for our close frame, answer it, and return its code."""

    def vanish(self) -> None:
        """Be gone without a close frame."""


class WirePeer:
    """A peer on a real socket."""

    def __init__(self, stream: trio.SocketStream, side: ConnectionType) -> None:
        self.stream = stream
        self._protocol = WSConnection(side)

    async def ask(self, path: str = PATH) -> None:
        """Send a client's handshake."""
        headers = [(b"X-Test", b"yes")]
        await self.say(Request(host="example.com", target=path, extra_headers=headers))

    async def wait_answer(self) -> AcceptConnection | RejectConnection:
        """Wait for the server's answer to the handshake."""
        event = await self.next_event()
        assert isinstance(event, AcceptConnection | RejectConnection)
        return event

    async def answer(self) -> Request:
        """Wait for a client's handshake and accept it."""
        event = await self.next_event()
        assert isinstance(event, Request)
        await self.say(AcceptConnection())
        return event

    async def say(self, event: Event) -> None:
        await self.stream.send_all(self._protocol.send(event))

    async def next_event(self) -> Event:
        while True:
            for event in self._protocol.events():
                return event
            data = await self.stream.receive_some()
            if not data:
                raise EOFError
            self._protocol.receive_data(data)

    async def send(self, message: str | bytes) -> None:
        await self.say(
            TextMessage(data=message) if isinstance(message, str) else BytesMessage(data=message)
        )

    async def receive(self) -> str:
        text = ""
        while True:
            match await self.next_event():
                case Ping() as ping:
                    await self.say(ping.response())
                case TextMessage(data=data, message_finished=finished):
                    text += data
                    if finished:
                        return text
                case other:
                    raise AssertionError(other)

    async def close(self, code: int) -> None:
        await self.say(CloseConnection(code=code))

    async def wait_closed(self) -> int:
        while True:
            event = await self.next_event()
            if isinstance(event, CloseConnection):
                if self._protocol.state is ConnectionState.REMOTE_CLOSING:
                    await self.say(event.response())
                return int(event.code)

    def vanish(self) -> None:
        # Lingering for 0 seconds makes close() send a reset.
        self.stream.socket.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", True, False)
        )
        self.stream.socket.close()


class AsgiPeer:
    """A peer behind an ASGI server that is all in memory."""

    def __init__(self) -> None:
        self.scope: dict[str, Any] = {
            "type": "websocket",
            "path": "/telnyx/media/token",
            "raw_path": b"/telnyx/media/token",
            "query_string": b"a=b",
            "headers": [(b"X-Test", b"yes")],
        }
        self.to_app, self._app_receives = trio.open_memory_channel[dict[str, Any]](100)
        self._app_sends, self.from_app = trio.open_memory_channel[Mapping[str, Any]](100)
        self.to_app.send_nowait({"type": "websocket.connect"})
        self.is_gone = False
        self.sends_after_end = 0

    async def app_receive(self) -> dict[str, Any]:
        return await self._app_receives.receive()

    async def app_send(self, message: MutableMapping[str, Any]) -> None:
        if self.is_gone:
            self.sends_after_end += 1
            raise OSError("connection lost")
        await self._app_sends.send(message)

    async def send(self, message: str | bytes) -> None:
        kind = "text" if isinstance(message, str) else "bytes"
        await self.to_app.send({"type": "websocket.receive", kind: message})

    async def receive(self) -> str:
        message = await self.from_app.receive()
        assert message["type"] == "websocket.send"
        return str(message["text"])

    async def close(self, code: int) -> None:
        self.is_gone = True
        await self.to_app.send({"type": "websocket.disconnect", "code": code})

    async def wait_closed(self) -> int:
        while True:
            message = await self.from_app.receive()
            if message["type"] == "websocket.close":
                return int(message["code"])

    def vanish(self) -> None:
        self.is_gone = True
        self.to_app.send_nowait({"type": "websocket.disconnect", "code": 1006})


class MemoryPeer:
    """The other end of a memory pair."""

    def __init__(self, end: MemoryWebSocket) -> None:
        self.end = end

    async def send(self, message: str | bytes) -> None:
        # The pair carries text only; what it is given as bytes has been decoded on the way.
        await self.end.send_text(message if isinstance(message, str) else message.decode())

    async def receive(self) -> str:
        return await self.end.receive_text()

    async def close(self, code: int) -> None:
        await self.end.aclose(code)

    async def wait_closed(self) -> int:
        with suppress(trio.EndOfChannel):
            while True:
                await self.end.receive_text()
        assert self.end.close_code is not None
        return self.end.close_code

    def vanish(self) -> None:
        self.end.vanish()


class Ends:
    """A WebSocket under test, its peer, and its socket if it has one."""

    def __init__(
        self,
        ours: WebSocket,
        peer: Peer,
        our_stream: trio.SocketStream | socket.socket | None = None,
    ) -> None:
        self.ours = ours
        self.peer = peer
        self._our_socket = (
            our_stream.socket if isinstance(our_stream, trio.SocketStream) else our_stream
        )

    @property
    def is_freed(self) -> bool:
        """Whether our socket is closed; nothing to free counts as closed."""
        return self._our_socket is None or self._our_socket.fileno() == -1


async def open_tcp_pair() -> tuple[trio.SocketStream, trio.SocketStream]:
    """Connect two sockets on the loopback, with small buffers so that they fill up soon."""
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    async with listener:
        listener.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        listener.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        theirs = await trio.open_tcp_stream(*listener.socket.getsockname())
        return await listener.accept(), theirs


@asynccontextmanager
async def open_server_connection() -> AsyncGenerator[Ends, None]:
    """A connection that trio-websocket handed out, with its stream."""
    stream, their_stream = await open_tcp_pair()
    peer = WirePeer(their_stream, ConnectionType.CLIENT)
    async with their_stream, trio.open_nursery() as nursery:
        await peer.ask()
        request = await trio_websocket.wrap_server_stream(
            nursery, stream, max_message_size=MAX_SIZE_BYTES
        )
        websocket = TrioWebSocket(await request.accept(), stream=stream)
        await peer.wait_answer()
        yield Ends(websocket, peer, stream)
        await websocket.aclose()


@asynccontextmanager
async def open_request() -> AsyncGenerator[Ends, None]:
    """A request on a stream of ours, accepted by the adapter."""
    stream, their_stream = await open_tcp_pair()
    peer = WirePeer(their_stream, ConnectionType.CLIENT)
    async with their_stream:
        await peer.ask()
        async with open_server_websocket(
            stream, max_message_size_bytes=MAX_SIZE_BYTES
        ) as websocket:
            await websocket.accept()
            await peer.wait_answer()
            yield Ends(websocket, peer, stream)


@asynccontextmanager
async def open_socket(readiness: Readiness | None = None) -> AsyncGenerator[Ends, None]:
    """A request on a socket of ours, accepted by the adapter without a task of its own."""
    stream, their_stream = await open_tcp_pair()
    peer = WirePeer(their_stream, ConnectionType.CLIENT)
    sock = socket.socket(fileno=stream.socket.detach())
    sock.setblocking(False)
    async with their_stream:
        await peer.ask()
        async with open_socket_websocket(
            sock, max_message_size_bytes=MAX_SIZE_BYTES, readiness=readiness
        ) as websocket:
            await websocket.accept()
            await peer.wait_answer()
            yield Ends(websocket, peer, sock)


class AlwaysTicks(IngestPolicy):
    """Ticks, also with none."""

    def __init__(self) -> None:
        super().__init__()
        self.is_ticking = True

    def update(self, n_calls: int, load: float) -> bool:
        return True


@asynccontextmanager
async def open_ticking_socket() -> AsyncGenerator[Ends, None]:
    """The same, read on a clock."""
    clock = MediaClock(AlwaysTicks(), eager_reads=0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(clock.run)
        async with open_socket(clock) as ends:
            assert clock.is_ticking
            yield ends
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_client() -> AsyncGenerator[Ends, None]:
    """A client's connection."""
    stream, their_stream = await open_tcp_pair()
    peer = WirePeer(their_stream, ConnectionType.SERVER)
    async with their_stream, trio.open_nursery() as nursery:
        nursery.start_soon(peer.answer)
        async with open_client_websocket(
            f"ws://example.com{PATH}", stream=stream, max_message_size_bytes=MAX_SIZE_BYTES
        ) as websocket:
            yield Ends(websocket, peer, stream)


@asynccontextmanager
async def open_asgi() -> AsyncGenerator[Ends, None]:
    """An ASGI application's WebSocket."""
    peer = AsgiPeer()
    websocket = as_websocket((peer.scope, peer.app_receive, peer.app_send))
    await websocket.accept()
    assert (await peer.from_app.receive())["type"] == "websocket.accept"
    yield Ends(websocket, peer)
    await websocket.aclose()


@asynccontextmanager
async def open_starlette() -> AsyncGenerator[Ends, None]:
    """Starlette's own WebSocket, not accepted before."""
    peer = AsgiPeer()
    websocket = as_websocket(Starlette(peer.scope, peer.app_receive, peer.app_send))
    await websocket.accept()
    assert (await peer.from_app.receive())["type"] == "websocket.accept"
    yield Ends(websocket, peer)
    await websocket.aclose()


@asynccontextmanager
async def open_memory() -> AsyncGenerator[Ends, None]:
    """The server's end of a memory pair."""
    client, server = memory_websocket_pair(path=PATH, headers=[(b"x-test", b"yes")])
    await server.accept()
    yield Ends(server, MemoryPeer(client))
    await server.aclose()


@asynccontextmanager
async def open_memory_client() -> AsyncGenerator[Ends, None]:
    """The client's end of a memory pair."""
    client, server = memory_websocket_pair(path=PATH, headers=[(b"x-test", b"yes")])
    await server.accept()
    yield Ends(client, MemoryPeer(server))
    await client.aclose()


@asynccontextmanager
async def open_hypercorn() -> AsyncGenerator[Ends, None]:
    """An ASGI application's WebSocket under hypercorn's Trio worker, with a peer on a socket."""
    to_test, from_app = trio.open_memory_channel[WebSocket](1)
    test_is_over = trio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        websocket = as_websocket((scope, receive, send))
        await websocket.accept()
        await to_test.send(websocket)
        await test_is_over.wait()

    config = hypercorn.config.Config()
    config.bind = ["127.0.0.1:0"]
    config.errorlog = None
    config.websocket_max_message_size = MAX_SIZE_BYTES
    config.graceful_timeout = 0.5
    async with trio.open_nursery() as nursery:
        serve = partial(hypercorn.trio.serve, shutdown_trigger=test_is_over.wait)
        (url,) = await nursery.start(serve, app, config)
        their_stream = await trio.open_tcp_stream("127.0.0.1", int(url.rpartition(":")[2]))
        async with their_stream:
            peer = WirePeer(their_stream, ConnectionType.CLIENT)
            await peer.ask()
            await peer.wait_answer()
            websocket = await from_app.receive()
            yield Ends(websocket, peer)
            await websocket.aclose()
            test_is_over.set()
