"""as_websocket finds the adapter."""

from __future__ import annotations

from functools import partial

import pytest
import trio
import trio.testing
import trio_websocket
from _websocket.websocket_peers import AsgiPeer, WirePeer, open_tcp_pair
from starlette.websockets import WebSocket as Starlette
from wsproto import ConnectionType

from telnyx_trio._websocket import AsgiWebSocket, StarletteWebSocket, TrioWebSocket, as_websocket
from telnyx_trio.testing._memory_websocket import memory_websocket_pair


async def test_what_offers_the_seam_is_returned_as_it_is() -> None:
    """An adapter is not adapted again."""
    client, _ = memory_websocket_pair()
    assert as_websocket(client) is client


async def test_asgi_tuple() -> None:
    """A tuple of three is ASGI's scope, receive and send."""
    peer = AsgiPeer()
    assert isinstance(as_websocket((peer.scope, peer.app_receive, peer.app_send)), AsgiWebSocket)


async def test_starlette_websocket() -> None:
    """Starlette's object is known by its methods."""
    peer = AsgiPeer()
    starlette = Starlette(peer.scope, peer.app_receive, peer.app_send)
    assert isinstance(as_websocket(starlette), StarletteWebSocket)


@pytest.mark.parametrize("obj", [None, "ws://example.com", object(), (1, 2)])
def test_anything_else_is_type_error(obj: object) -> None:
    """The error names what is accepted."""
    with pytest.raises(TypeError, match="Starlette"):
        as_websocket(obj)


async def test_connection_of_users_server() -> None:
    """A server of the user's own hands its request over; the call works and the server goes on."""
    closed = trio.Event()

    async def handler(request: trio_websocket.WebSocketRequest) -> None:
        websocket = as_websocket(request)
        assert isinstance(websocket, TrioWebSocket)
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())
        with pytest.raises(trio.EndOfChannel):
            await websocket.receive_text()
        await websocket.aclose()
        closed.set()

    async with trio.open_nursery() as nursery:
        serve = partial(trio_websocket.serve_websocket, handler, "127.0.0.1", 0, None)
        server: trio_websocket.WebSocketServer = await nursery.start(serve)
        with trio.fail_after(5):
            async with trio_websocket.open_websocket_url(f"ws://127.0.0.1:{server.port}/") as ws:
                await ws.send_message("echo")
                assert await ws.get_message() == "echo"
            await closed.wait()
        nursery.cancel_scope.cancel()


async def test_connection_without_its_stream_is_closed_forcefully_after_a_cut_off_send() -> None:
    """Also without the stream a cancelled send ends in a closed socket, and the reader ends."""
    stream, their_stream = await open_tcp_pair()
    peer = WirePeer(their_stream, ConnectionType.CLIENT)
    async with their_stream:
        await peer.ask()
        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                request = await trio_websocket.wrap_server_stream(nursery, stream)
                websocket = as_websocket(await request.accept())
                await peer.wait_answer()
                for _ in range(5):
                    await peer.send("nobody reads this")
                async with trio.open_nursery() as sender:

                    @sender.start_soon
                    async def fill_up() -> None:
                        while True:
                            await websocket.send_text("x" * 10_000)

                    await trio.testing.wait_all_tasks_blocked(0.05)
                    sender.cancel_scope.cancel()
                await websocket.aclose()
                assert stream.socket.fileno() == -1
