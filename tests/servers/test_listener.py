from __future__ import annotations

import json
import logging
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import trio
import trio.testing
from server_world import World, config_for, listen_to_end, open_world, silence

from telnyx_trio import Call, open_client_websocket, open_server
from telnyx_trio._websocket import WebSocketRejected
from telnyx_trio.servers import _listener
from telnyx_trio.testing import Phone, open_carrier

UPGRADE = (
    b"Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@asynccontextmanager
async def connect(world: World) -> AsyncIterator[trio.SocketStream]:
    url = httpx.URL(world.server.url or "")
    stream = await trio.open_tcp_stream(url.host, url.port or 0)
    with trio.fail_after(5):
        async with stream:
            yield stream


async def read_all(stream: trio.SocketStream) -> bytes:
    data = b""
    async for part in stream:
        data += part
    return data


async def exchange(world: World, request: bytes) -> bytes:
    """Send raw bytes; return all that comes back until the server closes."""
    async with connect(world) as stream:
        await stream.send_all(request)
        return await read_all(stream)


def statuses(reply: bytes) -> list[int]:
    return [int(part[:3]) for part in reply.split(b"HTTP/1.1 ")[1:]]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/healthz", 200),
        ("HEAD", "/healthz", 200),
        ("POST", "/healthz", 405),
        ("GET", "/telnyx/events", 405),
        ("POST", "/telnyx/events", 403),
        ("GET", "/", 404),
        ("GET", "/telnyx/mediaX", 404),
        ("POST", "/telnyx/events/more", 404),
    ],
)
async def test_routes(method: str, path: str, status: int) -> None:
    """Each path has its methods; everything else is 404 or 405."""
    async with open_world(sockets=True) as world:
        async with httpx.AsyncClient(trust_env=False) as client:
            response = await client.request(method, f"{world.server.url}{path}")
    assert response.status_code == status
    assert "server" not in response.headers
    assert (status == 405) == ("allow" in response.headers)


async def test_port_0_reports_the_real_address() -> None:
    """The URL names the port that was taken, and media is asked for there."""
    async with open_world(sockets=True) as world:
        port = httpx.URL(world.server.url or "").port
        assert port
        assert world.server.config.public_url == f"http://127.0.0.1:{port}"
        url = world.server.config.stream_options("t").stream_url
        assert url == f"ws://127.0.0.1:{port}/telnyx/media/t"


async def test_media_behind_a_prefix() -> None:
    """A public URL with a path leads media here, too."""
    async with open_world(sockets=True) as world:
        url = f"{world.server.url}/some/where/telnyx/media/token".replace("http", "ws")
        with pytest.raises(WebSocketRejected) as caught:
            async with open_client_websocket(url):
                pytest.fail("accepted")  # pragma: no cover
        assert caught.value.status == 403


async def test_one_connection_carries_one_request() -> None:
    """A media handshake sent behind a plain request gets no answer."""
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /telnyx/media/t HTTP/1.1\r\n" + UPGRADE
    async with open_world(sockets=True) as world:
        reply = await exchange(world, request)
        assert statuses(reply) == [200]
        assert b"connection: close" in reply.lower()
        assert world.server.statistics().refused_media == 0


@pytest.mark.parametrize(
    "trick",
    [
        b"GET /healthz HTTP/1.1\n\nGET /telnyx/media/t HTTP/1.1\r\n" + UPGRADE,
        b"GET /healthz HTTP/1.1\r\n keep-alive\r\nHost: x\r\n\r\n",
        b"GET  /telnyx/media/t HTTP/1.1\r\n" + UPGRADE,
        b"GET /telnyx/media/t\tHTTP/1.1\r\n" + UPGRADE,
        b"\r\nGET /telnyx/media/t HTTP/1.1\r\n" + UPGRADE,
        b"GET /telnyx/media/t HTTP/2.0\r\n" + UPGRADE,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET\r\n\r\n",
    ],
)
async def test_tricks_with_the_head_are_refused(trick: bytes) -> None:
    """A head that two readers could read in two ways is 400."""
    async with open_world(sockets=True) as world:
        assert statuses(await exchange(world, trick)) == [400]
        assert world.server.statistics().refused_media == 0


async def test_no_media_through_hypercorn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Should a media handshake be taken for a plain request, it is nothing but that."""
    monkeypatch.setattr(_listener, "_is_media", lambda path: False)
    async with open_world(sockets=True) as world:
        reply = await exchange(world, b"GET /telnyx/media/t HTTP/1.1\r\n" + UPGRADE)
        assert statuses(reply) == [404]
        assert world.server.statistics().refused_media == 0


async def test_plain_request_for_media_is_refused() -> None:
    """A media path without a WebSocket handshake starts nothing."""
    async with open_world(sockets=True) as world:
        reply = await exchange(world, b"GET /telnyx/media/t HTTP/1.1\r\nHost: x\r\n\r\n")
        assert statuses(reply) in ([], [400], [426])
        assert world.server.statistics().live_calls == 0


async def test_peer_of_a_webhook_cannot_be_forged(caplog: pytest.LogCaptureFixture) -> None:
    """The log names the address that connected, whatever headers say."""
    forged = b"".join(
        b"%s: 6.6.6.6\r\n" % name
        for name in (b"x-telnyx-trio-peer", b"x-forwarded-for", b"forwarded", b"x-real-ip")
    )
    request = b"POST /telnyx/events HTTP/1.1\r\nHost: x\r\ncontent-length: 2\r\n" + forged
    async with open_world(sockets=True) as world:
        assert statuses(await exchange(world, request + b"\r\n{}")) == [403]
    assert "webhook from 127.0.0.1 refused" in caplog.text
    assert "6.6.6.6" not in caplog.text


async def test_huge_head_is_refused() -> None:
    """A head over 16 KiB is 431."""
    async with open_world(sockets=True) as world:
        head = b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 4000
        assert statuses(await exchange(world, head)) == [431]


async def test_large_body_is_refused_unread() -> None:
    """A body over 1 MiB is 413 before it is sent, and the peer gets to read that."""
    head = b"POST /telnyx/events HTTP/1.1\r\nHost: x\r\ncontent-length: 5000000\r\n\r\n"
    async with open_world(sockets=True) as world:
        assert statuses(await exchange(world, head + b"x" * 100_000)) == [413]
        assert world.server.statistics().webhooks == 0


async def test_chunked_body_is_taken() -> None:
    """As some proxies send it: it gets to the application whole, which misses the signature."""
    head = b"POST /telnyx/events HTTP/1.1\r\nHost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    async with open_world(sockets=True) as world:
        assert statuses(await exchange(world, head + b"2\r\n{}\r\n0\r\n\r\n")) == [403]
        assert world.server.statistics().refused_webhooks == 1


async def test_chunked_body_over_the_limit_is_refused() -> None:
    """Where no length is told, it is counted."""
    head = b"POST /telnyx/events HTTP/1.1\r\nHost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    chunk = b"80000\r\n" + b"x" * 0x80000 + b"\r\n"
    async with open_world(sockets=True) as world:
        assert statuses(await exchange(world, head + chunk * 3)) == [413]
        assert world.server.statistics().webhooks == 0


async def test_failing_hypercorn_is_started_again(caplog: pytest.LogCaptureFixture) -> None:
    """When hypercorn's worker fails, calls live on and the next webhook is served."""
    async with open_world(listen_to_end, sockets=True) as world:
        leg = await world.call_in()
        await leg.wait_media_started()

        async def fail(*args: object, **kwargs: object) -> None:
            raise KeyError("hypercorn")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("hypercorn.trio.tcp_server.TCPServer.run", fail)
            async with connect(world) as stream:
                await stream.send_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                with suppress(trio.BrokenResourceError):
                    await read_all(stream)
        await trio.sleep(0.5)
        reply = await exchange(world, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert statuses(reply) == [200]
        assert leg.is_alive
        assert leg.has_stream
        await leg.hang_up()
        await world.wait_idle()
    assert "hypercorn failed" in caplog.text


async def test_burst_of_requests_passes_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that running calls have theirs; none is lost."""
    n_now = n_most = 0
    respond = _listener._PlainApplication.__call__

    async def count(application: Any, *args: Any) -> None:
        nonlocal n_now, n_most
        n_now += 1
        n_most = max(n_most, n_now)
        for _ in range(20):
            await trio.lowlevel.checkpoint()
        n_now -= 1
        await respond(application, *args)

    monkeypatch.setattr(_listener._PlainApplication, "__call__", count)
    replies = []
    async with open_world(sockets=True) as world:

        async def ask() -> None:
            replies.extend(
                statuses(await exchange(world, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"))
            )

        async with trio.open_nursery() as nursery:
            for _ in range(30):
                nursery.start_soon(ask)
    assert replies == [200] * 30
    assert 1 < n_most <= _listener.MAX_RELAYS


async def test_half_closed_request_is_answered_or_dropped() -> None:
    """A peer that breaks off inside its body costs nothing."""
    async with open_world(sockets=True) as world, connect(world) as stream:
        await stream.send_all(
            b"POST /telnyx/events HTTP/1.1\r\nHost: x\r\ncontent-length: 9\r\n\r\n"
        )
        await stream.send_eof()
        assert statuses(await read_all(stream)) in ([], [400])


async def test_silent_connections_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that never completes its head is closed."""
    monkeypatch.setattr(_listener, "_HEAD_TIMEOUT", 0.1)
    async with open_world(sockets=True) as world:
        assert await exchange(world, b"") == b""
        assert await exchange(world, b"GET / HTTP/1.1\r\nHost:") == b""


async def test_slow_body_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that takes too long as a whole is closed."""
    monkeypatch.setattr(_listener, "_REQUEST_TIMEOUT", 0.1)
    async with open_world(sockets=True) as world:
        head = b"POST /telnyx/events HTTP/1.1\r\nHost: x\r\ncontent-length: 9\r\n\r\n"
        assert await exchange(world, head) == b""


async def test_idle_connections_do_not_block_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit the oldest silent connection goes; who has something to say is served."""
    monkeypatch.setattr(_listener, "MAX_PLAIN_CONNECTIONS", 5)
    async with open_world(listen_to_end, sockets=True) as world:
        url = httpx.URL(world.server.url or "")
        idle = [await trio.open_tcp_stream(url.host, url.port or 0) for _ in range(20)]
        with trio.fail_after(2):
            leg = await world.call_in(phone=Phone(hang_up_at=0.1))
            await leg.wait_ended()
            assert await idle[0].receive_some() == b""
        for stream in idle:
            await stream.aclose()
        await world.wait_idle()


async def test_reset_connections_leave_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A connection that is reset at any point ends quietly."""
    parts = (
        b"",
        b"GET /healthz HT",
        b"POST /telnyx/events HTTP/1.1\r\nHost: x\r\ncontent-length: 9\r\n\r\nx",
        b"GET /telnyx/media/t HTTP/1.1\r\n" + UPGRADE,
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    )
    linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
    async with open_world(sockets=True) as world:
        for part in parts:
            async with connect(world) as stream:
                if part:
                    await stream.send_all(part)
                await trio.sleep(0.02)
                stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        await trio.sleep(0.1)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_oversized_message_ends_only_its_call() -> None:
    """A message over the limit closes its own media socket with 1009."""
    async with open_world(listen_to_end, sockets=True) as world:
        good, bad = await world.call_in(), await world.call_in()
        await good.wait_media_started()
        await bad.wait_media_started()
        assert bad._stream is not None
        bad._stream._put(("dtmf", "dtmf", {"digit": "x" * 3_000_000}, {}))
        with trio.fail_after(3):
            await bad.wait_ended()
        assert bad.hangup is not None
        assert bad.hangup.source == "callee"
        assert good.is_alive
        assert good.has_stream


async def test_deaf_peer_does_not_hold_up_cancellation() -> None:
    """A media peer that reads nothing: with all buffers full the call ends in under 0.1 s."""
    is_full = trio.Event()

    async def handler(call: Call) -> None:
        while True:
            with trio.move_on_after(0.2) as scope:
                await call.send(silence(1))
            if scope.cancelled_caught:
                is_full.set()
                await trio.sleep_forever()

    async with open_world(handler, sockets=True, call={"lead": 10_000.0}) as world:
        leg = await world.call_in()
        leg.start_stream = lambda request: None  # type: ignore[method-assign]
        await leg.wait_answered()
        url = world.requests("answer")[0].body["stream_url"]
        tcp = trio.socket.socket()
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await tcp.connect(("127.0.0.1", httpx.URL(url).port or 0))
        async with open_client_websocket(url, stream=trio.SocketStream(tcp)) as deaf:
            # Its reader stops when messages wait; nobody takes them.
            start = leg.start_fields() | {"media_format": {"encoding": "PCMU"}}
            await deaf.send_text(json.dumps({"event": "start", "stream_id": "s", "start": start}))
            with trio.fail_after(8):
                await is_full.wait()
            began_at = trio.current_time()
            await world.server.stop(0)
            assert trio.current_time() - began_at < 0.1
            assert not leg.is_alive


async def test_tls_hello_does_not_disturb() -> None:
    """A TLS handshake on the plain port ends in an error for the client only."""
    async with open_world(sockets=True) as world, connect(world) as stream:
        context = ssl.create_default_context()
        tls = trio.SSLStream(stream, context, server_hostname="localhost")
        with trio.move_on_after(0.2), pytest.raises(trio.BrokenResourceError):
            await tls.do_handshake()
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(f"{world.server.url}/healthz")).status_code == 200


async def test_no_private_socket_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where hypercorn cannot start at all, opening fails; it is not tried for ever."""
    deep = tmp_path / ("x" * 120)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with trio.fail_after(5), pytest.raises(OSError, match="TMPDIR"):
        async with open_world(sockets=True):
            pytest.fail("opened")  # pragma: no cover


class CancelAtStep(trio.abc.Instrument):
    """Cancels a scope at the n-th step of any task."""

    def __init__(self, scope: trio.CancelScope, step: int) -> None:
        self._scope = scope
        self._left = step

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._left -= 1
        if self._left == 0:
            self._scope.cancel()


async def test_opening_can_be_cancelled_at_any_step() -> None:
    """On real sockets too: nothing waits for ever, and the port is free again."""
    async with open_carrier() as carrier:
        config = config_for(carrier)
        opened = 0
        for step in range(1, 80):
            with trio.CancelScope() as scope:
                instrument = CancelAtStep(scope, step)
                trio.lowlevel.add_instrument(instrument)
                try:
                    async with open_server(config):
                        opened += 1
                        await trio.lowlevel.checkpoint()
                finally:
                    trio.lowlevel.remove_instrument(instrument)
        assert 0 < opened < 79


async def test_cancelled_before_a_handshake_has_its_turn() -> None:
    """A media connection that waits for one is closed, and the peer sees that."""
    connections = _listener._Connections(None, "", b"", None)  # type: ignore[arg-type]
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.settimeout(5)
    stream = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
    request: Any = SimpleNamespace(received=b"", path="/")
    with theirs:
        async with connections._handshakes, trio.open_nursery() as nursery:
            nursery.start_soon(connections._serve_media, stream, request, "peer")
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert theirs.recv(1) == b""
