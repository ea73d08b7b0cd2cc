"""A client with the proxies and certificates of the environment."""

from __future__ import annotations

import ssl
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
import trio
from certificates import write_self_signed
from small_http import Answer, open_http

from telnyx_trio import ConfigurationError, open_client
from telnyx_trio._http_client import make_http_client
from telnyx_trio.call_control._exchange import why_unreachable

NOWHERE = "http://127.0.0.1:9"


async def reply(method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
    return 200, [("content-type", "application/json")], b'{"data": [{"id": "1"}]}'


async def test_proxy_is_not_asked_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A simulator is reached though programs here have a proxy, good or bad."""
    for proxy in (NOWHERE, "nonsense://x"):
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy)
        async with open_http(reply) as address:
            for host in ("127.0.0.1", "localhost"):
                url = address.replace("127.0.0.1", host)
                async with make_http_client(url) as http:
                    assert (await http.get(url)).status_code == 200


async def test_proxy_is_asked_for_everything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Telnyx is reached where only a proxy reaches it."""
    url = "http://api.telnyx.invalid/v2"
    async with open_http(reply) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy)
        async with make_http_client(url) as http:
            assert (await http.get(url)).status_code == 200


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("HTTPS_PROXY", "nonsense://user:SECRET@host", "http://host:port"),
        ("HTTP_PROXY", "http://[::1", "http://host:port"),
        ("ALL_PROXY", "socks5://127.0.0.1:1", "socksio"),
        ("SSL_CERT_FILE", "/no/such/file", "SSL_CERT_FILE can't be read: No such file"),
        ("SSL_CERT_FILE", __file__, "SSL_CERT_FILE can't be read"),
    ],
)
async def test_environment_that_can_not_be_used(
    variable: str, value: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable is named, and a password in it is not shown."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError) as caught:
        async with open_client("key", base_url="https://api.telnyx.invalid/v2"):
            pytest.fail("opened")
    assert variable in str(caught.value)
    assert problem in str(caught.value)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (NOWHERE, "Connection refused"),
        ("http://host.invalid", "there is no such host (DNS)"),
        ("https://127.0.0.1:{port}", "its certificate is not valid: self-signed certificate"),
    ],
)
async def test_why_there_is_no_connection(url: str, reason: str, tmp_path: Path) -> None:
    """In a few words, from the error at the bottom of httpx's."""
    write_self_signed(tmp_path / "server.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "server.pem")
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_ssl_over_tcp_listeners(0, context, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, hang_up, listeners)
        (listener,) = listeners
        port = listener.transport_listener.socket.getsockname()[1]  # type: ignore[attr-defined]
        address = url.format(port=port)
        async with make_http_client(address) as http:
            with pytest.raises(httpx.ConnectError) as caught:
                await http.get(address)
        nursery.cancel_scope.cancel()
    assert why_unreachable(caught.value) == reason


async def hang_up(stream: trio.SSLStream[trio.SocketStream]) -> None:
    with suppress(trio.BrokenResourceError):
        await stream.receive_some()
