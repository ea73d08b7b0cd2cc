"""The memory pair: what it has beyond the seam, and its speed."""

from __future__ import annotations

import time

import pytest
import trio
import trio.testing

from telnyx_trio._errors import LocalProtocolError
from telnyx_trio._websocket import CLOSE_TIMEOUT, WebSocketRejected
from telnyx_trio.testing._memory_websocket import memory_websocket_pair


async def test_wait_accepted_returns_once_server_accepts() -> None:
    """The client learns when its handshake is accepted."""
    client, server = memory_websocket_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.wait_accepted)
        await trio.testing.wait_all_tasks_blocked()
        assert nursery.child_tasks
        await server.accept()


async def test_first_use_accepts() -> None:
    """A server that just receives has accepted."""
    client, server = memory_websocket_pair()
    await client.send_text("hello")
    assert await server.receive_text() == "hello"
    await client.wait_accepted()


async def test_rejected_client_learns_status() -> None:
    """The client sees the status that the server rejects with."""
    client, server = memory_websocket_pair()
    await server.reject(401)
    for use in (client.wait_accepted, client.receive_text):
        with pytest.raises(WebSocketRejected) as caught:
            await use()
        assert caught.value.status == 401
    with pytest.raises(LocalProtocolError):
        await server.reject(401)


async def test_close_before_accept_rejects_with_403() -> None:
    """Closing instead of accepting is a rejection."""
    client, server = memory_websocket_pair()
    await server.aclose()
    with pytest.raises(WebSocketRejected, match="403"):
        await client.wait_accepted()


async def test_vanished_client_can_not_be_accepted() -> None:
    """A client that is gone before the answer is a broken connection."""
    client, server = memory_websocket_pair()
    client.vanish()
    with pytest.raises(trio.BrokenResourceError):
        await server.accept()
    with pytest.raises(trio.ClosedResourceError):
        await client.wait_accepted()


async def test_vanished_server_is_broken_for_the_waiting_client() -> None:
    """A server that vanishes instead of answering does not leave the client waiting."""
    client, server = memory_websocket_pair()
    server.vanish()
    with pytest.raises(trio.BrokenResourceError):
        await client.wait_accepted()


async def test_full_channel_blocks_sender() -> None:
    """A sender waits while max_messages are unread."""
    client, server = memory_websocket_pair(max_messages=2)
    await client.send_text("1")
    await client.send_text("2")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.send_text, "3")
        await trio.testing.wait_all_tasks_blocked()
        assert nursery.child_tasks
        assert await server.receive_text() == "1"
    assert await server.receive_text() == "2"
    assert await server.receive_text() == "3"


async def test_messages_before_vanishing_are_received() -> None:
    """What was on its way arrives before the loss is told."""
    client, server = memory_websocket_pair()
    await client.send_text("last words")
    client.vanish()
    assert await server.receive_text() == "last words"
    with pytest.raises(trio.BrokenResourceError):
        await server.receive_text()
    assert server.close_code == 1006


async def test_peer_learns_close_code() -> None:
    """The code of the close frame is told on the other side."""
    client, server = memory_websocket_pair()
    assert server.close_code is None
    await client.aclose(4001)
    assert server.close_code == 4001


async def test_stalled_peer_answers_nothing(autojump_clock: trio.testing.MockClock) -> None:
    """A stalled peer answers no ping, and makes a close wait for CLOSE_TIMEOUT."""
    client, server = memory_websocket_pair()
    await server.accept()
    client.stall()
    with trio.move_on_after(7) as scope:
        await server.ping()
    assert scope.cancelled_caught
    start = trio.current_time()
    await server.aclose()
    assert trio.current_time() - start == pytest.approx(CLOSE_TIMEOUT)


async def test_resumed_peer_reads_and_answers() -> None:
    """After resume everything goes on where it stood."""
    client, server = memory_websocket_pair()
    client.stall()
    await server.send_text("wait for me")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.ping)
        nursery.start_soon(client.receive_text)
        await trio.testing.wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 2
        client.resume()


@pytest.mark.parametrize("max_messages", [0, -1])
async def test_impossible_bound_is_value_error(max_messages: int) -> None:
    """A channel without room makes no sense."""
    with pytest.raises(ValueError, match="at least 1"):
        memory_websocket_pair(max_messages=max_messages)


async def test_every_method_is_a_checkpoint() -> None:
    """Also what has nothing to wait for lets others run."""
    client, server = memory_websocket_pair()
    with trio.testing.assert_checkpoints():
        await server.accept()
    with trio.testing.assert_checkpoints():
        await client.wait_accepted()
    with trio.testing.assert_checkpoints():
        await client.send_text("x")
    with trio.testing.assert_checkpoints():
        await server.receive_text()
    with trio.testing.assert_checkpoints():
        await client.ping()
    with trio.testing.assert_checkpoints():
        await client.aclose()


async def test_ten_minutes_of_packets_each_way_are_quick() -> None:
    """60,000 messages take so little that long calls can be tested in memory."""
    client, server = memory_websocket_pair()
    n_messages = 60_000

    async def send() -> None:
        for _ in range(n_messages):
            await client.send_text("x")

    start = time.perf_counter()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        for _ in range(n_messages):
            await server.receive_text()
    assert time.perf_counter() - start < 5  # measured 0.8
