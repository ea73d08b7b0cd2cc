from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import hypercorn.trio
import pytest
import trio
from hypercorn.config import Config
from server_world import OUR_NUMBER, config_for, listen_to_end
from starlette.applications import Starlette
from starlette.routing import Mount

from telnyx_trio import Call, ConfigurationError, EndReason, open_app
from telnyx_trio.servers import AsgiApplication
from telnyx_trio.testing import Carrier, Phone, open_carrier


@asynccontextmanager
async def serve(application: Any, port: int, root_path: str = "") -> AsyncIterator[None]:
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.errorlog = None
    config.graceful_timeout = 1
    config.root_path = root_path
    shutdown = trio.Event()
    async with trio.open_nursery() as nursery:

        async def run(*, task_status: trio.TaskStatus[Any]) -> None:
            await hypercorn.trio.serve(
                application, config, shutdown_trigger=shutdown.wait, task_status=task_status
            )

        await nursery.start(run)
        yield
        shutdown.set()


@pytest.fixture
async def free_port() -> int:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        return int(listener.socket.getsockname()[1])


async def one_call(carrier: Carrier, url: str) -> None:
    carrier.webhook_url = f"{url}/telnyx/events"
    leg = await carrier.call_in(to=OUR_NUMBER, phone=Phone(hang_up_at=0.3))
    with trio.fail_after(5):
        await leg.wait_ended()
        await carrier.wait_webhooks_tried()
    deliveries = carrier.webhook_deliveries
    assert {delivery.status for delivery in deliveries} == {200}
    assert "streaming.stopped" in {delivery.event_type for delivery in deliveries}
    assert leg.counters.packets_received > 5


@pytest.mark.parametrize("mount", ["", "/voice", "starlette"])
async def test_one_call(free_port: int, mount: str) -> None:
    """Under hypercorn, at its root, under a root path, or in a Starlette mount, a call works."""
    calls: list[Call] = []

    async def handler(call: Call) -> None:
        calls.append(call)
        async for pcm in call.received:
            await call.send(pcm)

    prefix = "/voice" if mount else ""
    url = f"http://127.0.0.1:{free_port}{prefix}"
    async with open_carrier() as carrier:
        async with open_app(handler, config_for(carrier, public_url=url)) as application:
            mounted: Any = application
            if mount == "starlette":
                mounted = Starlette(routes=[Mount("/voice", app=application)])
            root_path = mount if mount.startswith("/") else ""
            async with serve(mounted, free_port, root_path):
                await one_call(carrier, url)
                async with httpx.AsyncClient(trust_env=False) as client:
                    assert (await client.get(f"{url}/healthz")).status_code == 200
            assert application.server.statistics().live_calls == 0
    assert [call.outcome and call.outcome.reason for call in calls] == [EndReason.HANGUP]


async def test_public_url_is_needed() -> None:
    """An application does not know where it is mounted."""
    async with open_carrier() as carrier:
        with pytest.raises(ConfigurationError, match="public_url"):
            async with open_app(listen_to_end, config_for(carrier)):
                pytest.fail("entered")  # pragma: no cover


# Without a server: the application's own rules.


@asynccontextmanager
async def application() -> AsyncIterator[AsgiApplication]:
    async with open_carrier() as carrier:
        config = config_for(carrier, public_url="https://server.invalid")
        async with open_app(listen_to_end, config) as application:
            yield application


async def ask(
    application: AsgiApplication,
    method: str,
    path: str,
    *messages: dict[str, Any],
    headers: list[tuple[bytes, bytes]] | None = None,
    **scope: Any,
) -> int | None:
    incoming = list(messages)
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        if not incoming:
            await trio.sleep_forever()
        return incoming.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": headers or [], **scope}
    await application(scope, receive, send)
    return sent[0]["status"] if sent else None


def part(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


async def test_body_in_parts_is_put_together() -> None:
    """An unsigned body of any number of parts is 403, not an error."""
    async with application() as app:
        parts = (part(b"{", more=True), part(b"}"))
        assert await ask(app, "POST", "/telnyx/events", *parts) == 403
        assert app.server.statistics().refused_webhooks == 1


async def test_announced_large_body_is_not_read() -> None:
    """A body that says that it is over 1 MiB is 413 before a byte of it is read."""
    async with application() as app:
        headers = [(b"content-length", b"1048577")]
        assert await ask(app, "POST", "/telnyx/events", headers=headers) == 413


async def test_unannounced_large_body_is_cut_off() -> None:
    """A body that grows over 1 MiB is 413 without its rest."""
    async with application() as app:
        parts = [part(b"x" * 600_000, more=True)] * 2
        assert await ask(app, "POST", "/telnyx/events", *parts) == 413


async def test_body_that_breaks_off() -> None:
    """Nobody is answered when the peer has gone."""
    async with application() as app:
        gone = {"type": "http.disconnect"}
        assert await ask(app, "POST", "/telnyx/events", part(b"{", more=True), gone) is None


async def test_slow_body_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that does not come is 408."""
    monkeypatch.setattr("telnyx_trio.servers._asgi._BODY_TIMEOUT", 0.05)
    async with application() as app:
        assert await ask(app, "POST", "/telnyx/events", part(b"{", more=True)) == 408


async def test_peer_is_the_servers_word(caplog: pytest.LogCaptureFixture) -> None:
    """The log names the client of the scope, never a header."""
    async with application() as app:
        headers = [(b"x-telnyx-trio-peer", b"6.6.6.6"), (b"x-forwarded-for", b"6.6.6.6")]
        client = ("10.1.2.3", 5)
        await ask(app, "POST", "/telnyx/events", part(b"{}"), headers=headers, client=client)
    assert "webhook from 10.1.2.3 refused" in caplog.text


async def test_media_elsewhere_is_refused() -> None:
    """A WebSocket outside of the media path is refused before it is accepted."""
    async with application() as app:
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            await trio.lowlevel.checkpoint()
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            sent.append(message["type"])

        for path in ("/", "/telnyx/mediaX", "/telnyx/media/wrong"):
            scope: dict[str, Any] = {"type": "websocket", "path": path, "headers": []}
            await app(scope, receive, send)
        assert sent == ["websocket.close"] * 3
