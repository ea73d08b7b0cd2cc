"""The ASGI adapter: handshakes, and when it keeps silent."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from _websocket.websocket_peers import AsgiPeer

from telnyx_trio._errors import LocalProtocolError
from telnyx_trio._websocket import CLOSE_TIMEOUT, AsgiWebSocket


def open_asgi(peer: AsgiPeer) -> AsgiWebSocket:
    return AsgiWebSocket(peer.scope, peer.app_receive, peer.app_send)


def sent(peer: AsgiPeer) -> list[dict[str, object]]:
    messages = []
    while True:
        try:
            messages.append(dict(peer.from_app.receive_nowait()))
        except trio.WouldBlock:
            return messages


async def test_close_before_accept_is_left_to_the_server() -> None:
    """Closing instead of accepting sends websocket.close, which ASGI servers answer with 403."""
    peer = AsgiPeer()
    await open_asgi(peer).aclose()
    assert [message["type"] for message in sent(peer)] == ["websocket.close"]


async def test_reject_with_status_where_the_server_can() -> None:
    """With the websocket.http.response extension the status is ours."""
    peer = AsgiPeer()
    peer.scope["extensions"] = {"websocket.http.response": {}}
    await open_asgi(peer).reject(401, b"who are you")
    start, body = sent(peer)
    assert start["status"] == 401
    assert body["body"] == b"who are you"


async def test_reject_without_the_extension_closes() -> None:
    """Without the extension there is only the server's 403."""
    peer = AsgiPeer()
    websocket = open_asgi(peer)
    await websocket.reject(401)
    assert [message["type"] for message in sent(peer)] == ["websocket.close"]
    with pytest.raises(trio.ClosedResourceError):
        await websocket.accept()


async def test_reject_after_accept_is_refused() -> None:
    """An accepted handshake can't be rejected any more."""
    peer = AsgiPeer()
    websocket = open_asgi(peer)
    await websocket.accept()
    with pytest.raises(LocalProtocolError):
        await websocket.reject(401)


async def test_use_before_accept_is_refused() -> None:
    """Nothing can be received or sent before the handshake is answered."""
    websocket = open_asgi(AsgiPeer())
    with pytest.raises(LocalProtocolError):
        await websocket.receive_text()
    with pytest.raises(LocalProtocolError):
        await websocket.send_text("early")


async def test_peer_that_leaves_during_handshake_is_broken() -> None:
    """A disconnect instead of a connect is a broken connection, and nothing is sent after it."""
    peer = AsgiPeer()
    await peer.app_receive()
    peer.vanish()
    websocket = open_asgi(peer)
    with pytest.raises(trio.BrokenResourceError):
        await websocket.accept()
    await websocket.aclose()
    assert sent(peer) == []
    assert peer.sends_after_end == 0


async def test_failed_send_is_the_last() -> None:
    """After the server has refused one send, neither a send nor a close is tried again."""
    peer = AsgiPeer()
    websocket = open_asgi(peer)
    await websocket.accept()
    peer.is_gone = True
    for _ in range(2):
        with pytest.raises(trio.BrokenResourceError):
            await websocket.send_text("x")
    await websocket.aclose()
    assert peer.sends_after_end == 1


async def test_messages_are_received_after_a_failed_send() -> None:
    """What the server still holds for us is not lost by a send that failed."""
    peer = AsgiPeer()
    websocket = open_asgi(peer)
    await websocket.accept()
    await peer.send("on its way")
    await peer.close(1000)
    with pytest.raises(trio.BrokenResourceError):
        await websocket.send_text("x")
    assert await websocket.receive_text() == "on its way"
    with pytest.raises(trio.EndOfChannel):
        await websocket.receive_text()


async def test_cancelled_accept_can_be_repeated() -> None:
    """An accept that was cancelled while it waited for the handshake has done nothing."""
    peer = AsgiPeer()
    connect = await peer.app_receive()
    websocket = open_asgi(peer)
    with trio.move_on_after(0.01) as scope:
        await websocket.accept()
    assert scope.cancelled_caught
    await peer.to_app.send(connect)
    await websocket.accept()
    assert [message["type"] for message in sent(peer)] == ["websocket.accept"]


async def test_path_without_raw_path() -> None:
    """A server that gives no raw_path gives the path all the same."""
    peer = AsgiPeer()
    del peer.scope["raw_path"]
    assert open_asgi(peer).path == "/telnyx/media/token?a=b"


async def test_close_waits_for_the_server_no_longer_than_close_timeout(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A server that does not take our close can't hold us."""
    peer = AsgiPeer()
    websocket = open_asgi(peer)
    await websocket.accept()
    for _ in range(99):
        await websocket.send_text("fill the server's queue")
    start = trio.current_time()
    await websocket.aclose()
    assert trio.current_time() - start == pytest.approx(CLOSE_TIMEOUT)
