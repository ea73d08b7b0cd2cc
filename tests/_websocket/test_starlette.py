"""The Starlette adapter: Starlette's own object, and objects with less of its methods."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from _websocket.websocket_peers import AsgiPeer
from starlette.websockets import WebSocket as Starlette
from starlette.websockets import WebSocketDisconnect

from telnyx_trio._websocket import StarletteWebSocket, as_websocket


class PluginWebSocket:
    """What the Vision Agents plugin asks of a WebSocket, and no more."""

    def __init__(self, *received: str | Exception) -> None:
        self.received = list(received)
        self.sent: list[Any] = []
        self.is_accepted = False

    async def accept(self) -> None:
        self.is_accepted = True

    async def receive_text(self) -> str:
        if not self.received:
            raise RuntimeError("no more messages")
        message = self.received.pop(0)
        if isinstance(message, Exception):
            raise message
        return message

    async def send_json(self, data: Any) -> None:
        self.sent.append(data)


class OwnDisconnect(WebSocketDisconnect):
    """A framework's class derived from Starlette's."""


async def test_plugin_protocol_is_enough() -> None:
    """accept, receive_text and send_json are all that is needed."""
    double = PluginWebSocket('{"event": "start"}')
    websocket = as_websocket(double)
    await websocket.accept()
    assert double.is_accepted
    assert await websocket.receive_text() == '{"event": "start"}'
    await websocket.send_text(json.dumps({"event": "clear"}))
    assert double.sent == [{"event": "clear"}]
    await websocket.ping()
    await websocket.aclose()


async def test_error_of_a_double_is_broken() -> None:
    """A test double that runs out of messages is a broken connection, its error the cause."""
    websocket = as_websocket(PluginWebSocket())
    await websocket.accept()
    with pytest.raises(trio.BrokenResourceError) as caught:
        await websocket.receive_text()
    assert isinstance(caught.value.__cause__, RuntimeError)


@pytest.mark.parametrize("disconnect", [WebSocketDisconnect, OwnDisconnect])
async def test_disconnect_is_known_by_its_name(disconnect: type[WebSocketDisconnect]) -> None:
    """WebSocketDisconnect with a real code is a close, derived classes included."""
    websocket = as_websocket(PluginWebSocket(disconnect(1001, "bye")))
    await websocket.accept()
    with pytest.raises(trio.EndOfChannel, match="1001"):
        await websocket.receive_text()


async def test_disconnect_with_1006_is_broken() -> None:
    """WebSocketDisconnect with 1006 is a connection lost."""
    websocket = as_websocket(PluginWebSocket(WebSocketDisconnect(1006)))
    await websocket.accept()
    with pytest.raises(trio.BrokenResourceError):
        await websocket.receive_text()


async def test_accepted_starlette_websocket_is_open() -> None:
    """One that the application has accepted is not accepted a second time."""
    peer = AsgiPeer()
    starlette = Starlette(peer.scope, peer.app_receive, peer.app_send)
    await starlette.accept()
    websocket = as_websocket(starlette)
    await websocket.accept()
    await websocket.send_text("hello")
    assert (await peer.from_app.receive())["type"] == "websocket.accept"
    assert await peer.receive() == "hello"


async def test_websocket_closed_behind_our_back_is_broken() -> None:
    """Starlette's RuntimeError for use after its close is a broken connection."""
    peer = AsgiPeer()
    starlette = Starlette(peer.scope, peer.app_receive, peer.app_send)
    websocket = StarletteWebSocket(starlette)
    await websocket.accept()
    await starlette.close()
    with pytest.raises(trio.BrokenResourceError):
        await websocket.send_text("x")
    await websocket.aclose()


async def test_receiving_is_a_checkpoint_whatever_the_double_does() -> None:
    """An object whose methods never yield can't starve other tasks."""
    websocket = as_websocket(PluginWebSocket("one"))
    with trio.testing.assert_checkpoints():
        await websocket.accept()
    with trio.testing.assert_checkpoints():
        await websocket.receive_text()
    with trio.testing.assert_checkpoints():
        await websocket.send_text("{}")
