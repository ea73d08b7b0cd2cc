"""The server finds out whether its public address leads to itself, and which hop fails."""

from __future__ import annotations

import ssl
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import httpx
import pytest
import trio
from certificates import write_self_signed
from server_world import open_world
from small_http import Answer, open_http
from trio.testing import MockClock

from telnyx_trio import CallServer, ConfigurationError, PublicUrlUnreachable
from telnyx_trio.servers._self_check import (
    CHALLENGE_HEADER,
    PROOF_HEADER,
    SelfProof,
    check_public_url,
    check_running_server,
)

Hop = Literal["DNS", "TCP", "TLS", "tunnel", "reply", "server"]


async def check_at(server: CallServer, url: str) -> None:
    await check_public_url(url, server.self_proof)


async def test_server_finds_itself() -> None:
    """Over a socket at this machine, directly and through a proxy, also while it drains."""
    async with open_world(sockets=True) as world:
        await world.server.check_public_url()

        async def forward(method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
            async with httpx.AsyncClient() as http:
                reply = await http.request(method, f"{world.server.url}{target}", headers=headers)
            return reply.status_code, [(PROOF_HEADER, reply.headers[PROOF_HEADER])], b""

        async with open_http(forward) as url:
            await check_at(world.server, url)
            await world.server.stop()
            await check_at(world.server, url)


async def test_running_server_is_found_from_outside() -> None:
    """Another program sees whether an address leads to a server, or to another, or to none."""
    async with open_world(sockets=True) as world, open_world(sockets=True) as other:
        assert world.server.url is not None
        assert other.server.url is not None
        await check_running_server(world.server.url, world.server.url)
        with pytest.raises(PublicUrlUnreachable, match="another telnyx_trio server") as caught:
            await check_running_server(other.server.url, world.server.url)
        assert caught.value.url == other.server.url
        with pytest.raises(PublicUrlUnreachable, match="takes no connection") as caught:
            await check_running_server(world.server.url, "http://127.0.0.1:1")
        assert caught.value.url == "http://127.0.0.1:1"


async def test_another_server_is_told_apart() -> None:
    """A second server of ours answers, but cannot prove to be the first."""
    async with open_world(sockets=True) as world, open_world(sockets=True) as other:
        assert other.server.url is not None
        with pytest.raises(PublicUrlUnreachable, match="another telnyx_trio server") as caught:
            await check_at(world.server, other.server.url)
    assert caught.value.hop == "server"


async def test_stranger_learns_nothing() -> None:
    """The health check is as before for who shows no challenge, or none in its form."""
    async with open_world(sockets=True) as world, httpx.AsyncClient() as http:
        url = f"{world.server.url}/healthz"
        for headers in ({}, {CHALLENGE_HEADER: "x" * 32}, {CHALLENGE_HEADER: "0" * 64}):
            reply = await http.get(url, headers=headers)
            assert (reply.status_code, reply.content) == (200, b"")
            assert PROOF_HEADER not in reply.headers
        proved = await http.get(url, headers={CHALLENGE_HEADER: "0" * 32})
        assert proved.headers[PROOF_HEADER] == world.server.self_proof.prove(b"0" * 32).decode()
    assert SelfProof().prove(b"0" * 32) != SelfProof().prove(b"0" * 32)


@pytest.mark.parametrize(
    ("status", "headers", "hop", "problem"),
    [
        (404, [("ngrok-error-code", "ERR_NGROK_3200")], "tunnel", "ERR_NGROK_3200"),
        (502, [("server", "nginx")], "tunnel", "HTTP 502"),
        (504, [], "tunnel", "HTTP 504"),
        (301, [("location", "https://www.voice.example/")], "reply", "https://www.voice.example/"),
        (200, [("server", "nginx/1.22")], "server", "nginx/1.22"),
        (404, [], "server", "HTTP 404"),
    ],
)
async def test_reply_of_something_else(
    status: int, headers: list[tuple[str, str]], hop: Hop, problem: str
) -> None:
    """What answers in our place is named as far as it can be."""

    async def answer(*request: object) -> Answer:
        return status, headers, b"hello"

    async with open_http(answer) as url:
        with pytest.raises(PublicUrlUnreachable, match=problem) as caught:
            await check_public_url(url, SelfProof())
    assert caught.value.hop == hop
    assert url in str(caught.value)


async def test_connection_that_breaks() -> None:
    """Whoever takes the request and hangs up has been reached."""

    async def hang_up(*request: object) -> None:
        return None

    async with open_http(hang_up) as url:
        with pytest.raises(PublicUrlUnreachable, match="broke") as caught:
            await check_public_url(url, SelfProof())
    assert caught.value.hop == "reply"


async def test_nobody_listens() -> None:
    """A port without a listener is a matter of TCP."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
    await listener.aclose()
    with pytest.raises(PublicUrlUnreachable, match="TCP") as caught:
        await check_public_url(url, SelfProof())
    assert caught.value.hop == "TCP"


async def test_host_that_does_not_exist() -> None:
    """A name under .invalid is in no DNS (RFC 6761)."""
    with pytest.raises(PublicUrlUnreachable, match=r"no host gone\.invalid") as caught:
        await check_public_url("https://gone.invalid", SelfProof())
    assert caught.value.hop == "DNS"


async def test_port_without_tls() -> None:
    """https at a port that speaks plain HTTP is a matter of TLS."""
    async with open_world(sockets=True) as world:
        assert world.server.url is not None
        with pytest.raises(PublicUrlUnreachable, match="no TLS") as caught:
            await check_at(world.server, world.server.url.replace("http:", "https:"))
    assert caught.value.hop == "TLS"


async def test_certificate_that_is_not_valid(nursery: trio.Nursery, tmp_path: Path) -> None:
    """A certificate that nobody vouches for is told as such."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    write_self_signed(tmp_path / "server.pem")
    context.load_cert_chain(tmp_path / "server.pem")

    async def serve(stream: trio.SSLStream[trio.SocketStream]) -> None:
        try:
            await stream.receive_some()
        except trio.BrokenResourceError:
            pass

    listeners: list[trio.SSLListener[trio.SocketStream]] = await nursery.start(
        partial(trio.serve_ssl_over_tcp, serve, 0, context, host="127.0.0.1")
    )
    port = listeners[0].transport_listener.socket.getsockname()[1]  # type: ignore[attr-defined]
    with pytest.raises(PublicUrlUnreachable, match=r"certificate of 127\.0\.0\.1") as caught:
        await check_public_url(f"https://127.0.0.1:{port}", SelfProof())
    assert caught.value.hop == "TLS"
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("error", "hop"), [(httpx.ConnectTimeout, "TCP"), (httpx.ReadTimeout, "reply")]
)
async def test_what_takes_too_long(
    error: type[httpx.TimeoutException], hop: Hop, autojump_clock: MockClock
) -> None:
    """Which of the two deadlines passed tells how far the request came."""

    class Slow(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            raise error("too late", request=request)

    with pytest.raises(PublicUrlUnreachable, match="within 10 s") as caught:
        await check_public_url("https://voice.example", SelfProof(), transport=Slow())
    assert caught.value.hop == hop


async def test_without_a_public_address() -> None:
    """A server in memory has nothing to check."""
    async with open_world() as world:
        bare = CallServer(
            replace(world.server.config, public_url=None),
            world.server.client,
            world.server.registry,
            world.server.nursery,
        )
        with pytest.raises(ConfigurationError, match="public_url"):
            await bare.check_public_url()
