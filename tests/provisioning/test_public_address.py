"""Where the public address comes from, and what is said when it is nowhere."""

from __future__ import annotations

import json
from typing import Any

import pytest
from small_http import Answer, open_http

from telnyx_trio import ConfigurationError, find_public_url

HERE = "https://abc.ngrok-free.app"
OTHER = "https://def.ngrok-free.app"


def tunnel(url: str, address: str) -> dict[str, Any]:
    return {"name": "t", "public_url": url, "proto": url[:5], "config": {"addr": address}}


async def ask_ngrok(reply: bytes, status: int = 200, port: int | None = 8000) -> str:
    async def answer(method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        assert (method, target) == ("GET", "/api/tunnels")
        return status, [("content-type", "application/json")], reply

    async with open_http(answer) as url:
        return await find_public_url(environment={}, port=port, ngrok_api_url=f"{url}/api/tunnels")


async def find_among(*tunnels: dict[str, Any], port: int | None = 8000) -> str:
    return await ask_ngrok(json.dumps({"tunnels": tunnels}).encode(), port=port)


async def test_who_tells_is_asked_in_turn() -> None:
    """The explicit address comes first, then NGROK_URL, and neither asks ngrok."""
    environment = {"NGROK_URL": "abc.ngrok-free.app"}
    nowhere = "http://127.0.0.1:9/"
    told = await find_public_url("voice.example/", environment=environment, ngrok_api_url=nowhere)
    assert told == "https://voice.example"
    assert await find_public_url(environment=environment, ngrok_api_url=nowhere) == HERE
    assert await find_public_url("http://127.0.0.1:8000", environment={}) == "http://127.0.0.1:8000"


@pytest.mark.parametrize("told", ["ftp://voice.example", "https://", "https://a b"])
async def test_what_is_no_address(told: str) -> None:
    """A wrong address is named with where it came from."""
    with pytest.raises(ConfigurationError, match="public_url is no address"):
        await find_public_url(told, environment={})
    with pytest.raises(ConfigurationError, match="NGROK_URL is no address"):
        await find_public_url(environment={"NGROK_URL": told})


async def test_the_only_https_tunnel() -> None:
    """A tunnel for plain http, or for TCP, is none for Telnyx."""
    assert (
        await find_among(
            tunnel("http://abc.ngrok-free.app", "http://localhost:8000"),
            tunnel("tcp://0.tcp.ngrok.io:12345", "localhost:8000"),
            tunnel(HERE, "http://localhost:9000"),
        )
        == HERE
    )


@pytest.mark.parametrize("address", ["http://localhost:8000", "127.0.0.1:8000", "8000"])
async def test_of_several_tunnels_the_one_to_our_port(address: str) -> None:
    """Which tunnel is meant is seen from the port that it leads to."""
    others = [tunnel(OTHER, "http://localhost:8001"), tunnel("https://x.example", "https://web")]
    assert await find_among(*others, tunnel(HERE, address)) == HERE


@pytest.mark.parametrize(
    ("port", "addresses", "problem"),
    [
        (8000, ["8001", "8002"], "none is known to lead to port 8000"),
        (8000, ["8000", "8000"], "several lead to port 8000"),
        (None, ["8000", "8001"], "none is known to lead to this server"),
    ],
)
async def test_several_tunnels_and_no_choice(
    port: int | None, addresses: list[str], problem: str
) -> None:
    """All are named, and how to choose."""
    tunnels = [tunnel(url, a) for url, a in zip((HERE, OTHER), addresses, strict=True)]
    with pytest.raises(ConfigurationError, match=problem) as caught:
        await find_among(*tunnels, port=port)
    for text in (HERE, OTHER, "--public-url"):
        assert text in str(caught.value)


@pytest.mark.parametrize(
    ("reply", "status", "problem"),
    [
        (b'{"tunnels": []}', 200, "no https tunnel"),
        (b'{"tunnels": [7, {"public_url": 7}, {"public_url": "https://"}]}', 200, "no https"),
        (b"{}", 200, "no https tunnel"),
        (b"[]", 200, "is not ngrok's"),
        (b"<html>", 200, "is not ngrok's"),
        (b"\xff", 200, "is not ngrok's"),
        (b'{"tunnels": []}', 404, "is not ngrok's"),
    ],
)
async def test_what_ngrok_does_not_say(reply: bytes, status: int, problem: str) -> None:
    """Whatever answers there, the error says what was looked for where."""
    with pytest.raises(ConfigurationError, match=problem) as caught:
        await ask_ngrok(reply, status)
    assert "ngrok http 8000" in str(caught.value)


async def test_no_ngrok_either() -> None:
    """The error names all three places, and the command that starts a tunnel."""
    with pytest.raises(ConfigurationError) as caught:
        await find_public_url(environment={}, port=8000, ngrok_api_url="http://127.0.0.1:9/")
    for text in ("--public-url", "NGROK_URL", "http://127.0.0.1:9/", "ngrok http 8000"):
        assert text in str(caught.value)
