"""The files of docs/deployment, tried: a whole call through nginx, wss and https included."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import ssl
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import trio
from certificates import write_self_signed
from ports import reserved_port

from telnyx_trio import Call, CallServer, ServerConfig, open_server
from telnyx_trio.servers._self_check import CHALLENGE_HEADER, PROOF_HEADER
from telnyx_trio.testing import Carrier, Phone, SocketTransport, open_carrier

FILES = Path(__file__).parent.parent / "docs" / "deployment"
DEBIANS = f"{os.environ.get('PATH', '')}:/usr/sbin"
RATE = 8000


@pytest.fixture
def nginx_program() -> str:
    return find_program("nginx")


@pytest.fixture
def haproxy_program() -> str:
    return find_program("haproxy")


def find_program(name: str) -> str:
    """Return the path of a proxy; without one the test can be left out here, but not in .ci/run."""
    path = shutil.which(name, path=DEBIANS)
    if path is None:
        reason = f"{name} is not installed: apt-get install {name}"
        if os.environ.get("TELNYX_TRIO_NEEDS_PROXIES"):
            pytest.fail(reason)
        pytest.skip(reason)
    return path


def adapt(text: str, **changes: str) -> str:
    """Put other paths, ports and names into a file; each must be there."""
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def nginx_config(folder: Path, port: int, server_port: int) -> str:
    """Return nginx.conf itself, with the paths and ports of this test."""
    temporary = "".join(
        f"    {kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    changes = {
        # Workers have to read a folder that is the user's own.
        "user www-data;": "user root;" if os.geteuid() == 0 else "",
        "/run/nginx.pid": f"{folder}/nginx.pid",
        "/var/log/nginx/": f"{folder}/",
        "http {\n": f"http {{\n{temporary}",
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "phone.example.com;": "localhost;",
        "/etc/letsencrypt/live/phone.example.com/fullchain.pem": f"{folder}/certificate.pem",
        "/etc/letsencrypt/live/phone.example.com/privkey.pem": f"{folder}/certificate.pem",
        "server 127.0.0.1:8000;": f"server 127.0.0.1:{server_port};",
        "worker_processes auto;": "worker_processes 2;",
    }
    return adapt((FILES / "nginx.conf").read_text(), **changes)


def haproxy_config(folder: Path, port: int, server_ports: Sequence[int]) -> str:
    """Return haproxy.cfg itself, with the paths and ports of this test."""
    one, two = server_ports
    changes = {
        "/etc/haproxy/certs/phone.example.com.pem": f"{folder}/certificate.pem",
        "bind :443": f"bind 127.0.0.1:{port}",
        "hdr Host phone.example.com": "hdr Host localhost",
        "127.0.0.1:8000": f"127.0.0.1:{one}",
        "127.0.0.1:8001": f"127.0.0.1:{two}",
        "inter 1s": "inter 100ms",
    }
    return adapt((FILES / "haproxy.cfg").read_text(), **changes)


@dataclass(frozen=True)
class Proxy:
    """A running proxy.

    Attributes:
        url: public address.
        process: of its master.
        http: a client of that address.
        trust: in its certificate.
    """

    url: str
    process: trio.Process
    http: httpx.AsyncClient
    trust: ssl.SSLContext


@asynccontextmanager
async def open_nginx(program: str, folder: Path, server_port: int) -> AsyncIterator[Proxy]:
    """Run nginx with the file of the documentation, in front of a port."""
    command = [program, "-p", str(folder), "-c", "nginx.conf", "-g", "daemon off;"]
    with reserved_port() as port:
        (folder / "nginx.conf").write_text(nginx_config(folder, port, server_port))
        async with _open_proxy(command, folder, port) as proxy:
            yield proxy


@asynccontextmanager
async def open_haproxy(
    program: str, folder: Path, server_ports: Sequence[int]
) -> AsyncIterator[Proxy]:
    """Run HAProxy with the file of the documentation, in front of two ports."""
    command = [program, "-db", "-f", str(folder / "haproxy.cfg")]
    with reserved_port() as port:
        (folder / "haproxy.cfg").write_text(haproxy_config(folder, port, server_ports))
        async with _open_proxy(command, folder, port) as proxy:
            yield proxy


@asynccontextmanager
async def _open_proxy(command: list[str], folder: Path, port: int) -> AsyncIterator[Proxy]:
    write_self_signed(folder / "certificate.pem")
    trust = ssl.create_default_context(cafile=folder / "certificate.pem")
    url = f"https://localhost:{port}"
    with (folder / "output.log").open("wb") as output:
        async with (
            httpx.AsyncClient(base_url=url, verify=trust, trust_env=False) as http,
            trio.open_nursery() as nursery,
        ):
            run = partial(trio.run_process, command, stdout=output, stderr=output, check=False)
            process = await nursery.start(run)
            with trio.fail_after(20):
                await _wait_listening(http, process)
            yield Proxy(url, process, http, trust)
            process.terminate()


async def _wait_listening(http: httpx.AsyncClient, process: trio.Process) -> None:
    """Ask until there is an answer: another process tells in no other way."""
    while True:
        assert process.returncode is None
        try:
            await http.get("/")
        except httpx.TransportError:
            await trio.sleep(0.05)
        else:
            return


async def _echo(call: Call) -> None:
    async for pcm in call.received:
        await call.send(pcm)


def _config(carrier: Carrier, url: str, port: int) -> ServerConfig:
    return ServerConfig(
        api_key=carrier.api_key,
        public_key=carrier.public_key,
        base_url=carrier.base_url,
        public_url=url,
        port=port,
    )


def _tone(frequency: float) -> tuple[np.ndarray[Any, np.dtype[np.int16]], int]:
    times = np.arange(2 * RATE) / RATE
    return (8000 * np.sin(2 * np.pi * frequency * times)).astype(np.int16), RATE


async def test_a_call_goes_through_nginx_and_survives_its_reload(
    nginx_program: str, tmp_path: Path
) -> None:
    """Webhooks by https, media by wss; no token gets into a log, no large body to the server."""
    with reserved_port() as server_port:
        async with (
            open_nginx(nginx_program, tmp_path, server_port) as nginx,
            open_carrier(transport=SocketTransport(ssl_context=nginx.trust)) as carrier,
            open_server(_config(carrier, nginx.url, server_port), _echo) as server,
        ):
            assert (await nginx.http.get("/healthz")).status_code == 200
            await _call_across_a_reload(carrier, nginx)
            await server.stop()
            assert (await nginx.http.get("/healthz")).status_code == 503
            statistics = server.statistics()
    # Signatures hold only if every byte of a body has passed as it was.
    assert (statistics.refused_webhooks, statistics.refused_media) == (0, 0)
    assert statistics.webhooks >= 3
    logged = (tmp_path / "access.log").read_text()
    assert " GET /telnyx/media/- 101 " in logged
    assert " POST /telnyx/events 200 " in logged
    assert _logs_with(_tokens(carrier), tmp_path) == []


async def _call_across_a_reload(carrier: Carrier, nginx: Proxy) -> None:
    carrier.webhook_url = f"{nginx.url}/telnyx/events"
    caller = Phone(says=_tone(700), hang_up_at=2.4)
    leg = await carrier.call_in(to="+15550002222", phone=caller)
    await leg.wait_media_started()
    nginx.process.send_signal(signal.SIGHUP)
    for path in ("/", "/telnyx", "/telnyx/events/more"):
        assert (await nginx.http.get(path)).status_code == 404
    assert await _status_of_large_body(nginx) == 413
    hangup = await leg.wait_ended()
    assert (hangup.source, hangup.cause) == ("caller", "normal_clearing")
    assert [event.kind for event in leg.events].count("socket opened") == 1
    recording, sample_rate = leg.recording()
    last = recording[1, -round(0.6 * sample_rate) :].astype(int)
    assert np.abs(last).max() > 4000  # the echo goes on to the end


def _tokens(carrier: Carrier) -> list[str]:
    """Return the tokens of the media URLs that the server gave to the carrier."""
    urls = [request.body.get("stream_url") for request in carrier.requests]
    tokens = [url.rpartition("/")[2] for url in urls if url]
    assert tokens
    assert all(len(token) > 20 for token in tokens)
    return tokens


async def test_nginx_logs_no_token_when_the_server_is_away(
    nginx_program: str, tmp_path: Path
) -> None:
    """502 for media and webhooks; the error log tells of the webhooks only."""
    secret = "a-token-that-is-secret"
    with reserved_port() as server_port:
        async with open_nginx(nginx_program, tmp_path, server_port) as nginx:
            assert (await nginx.http.get(f"/telnyx/media/{secret}")).status_code == 502
            assert (await nginx.http.post("/telnyx/events", content=b"{}")).status_code == 502
    assert _logs_with([secret], tmp_path) == []
    assert _logs_with(["/telnyx/events"], tmp_path) == ["access.log", "error.log"]


async def test_servers_restart_in_turn_behind_haproxy(haproxy_program: str, tmp_path: Path) -> None:
    """While one drains, callers reach the other; the call that was up keeps its media."""
    with reserved_port() as one_port, reserved_port() as two_port:
        async with (
            open_haproxy(haproxy_program, tmp_path, (one_port, two_port)) as haproxy,
            open_carrier(transport=SocketTransport(ssl_context=haproxy.trust)) as carrier,
            open_server(_config(carrier, haproxy.url, one_port), _echo) as one,
            open_server(_config(carrier, haproxy.url, two_port), _echo) as two,
            trio.open_nursery() as nursery,
        ):
            carrier.webhook_url = f"{haproxy.url}/telnyx/events"
            await _wait_for_server(haproxy, one)
            caller = Phone(says=_tone(700), hang_up_at=60)
            first = await carrier.call_in(to="+15550002222", phone=caller)
            await first.wait_media_started()
            nursery.start_soon(one.stop)
            await _wait_for_server(haproxy, two)
            second = await carrier.call_in(to="+15550002222", phone=replace(caller, hang_up_at=0.5))
            assert (await second.wait_ended()).source == "caller"
            sent = first.counters.packets_received
            assert (one.statistics().live_calls, two.statistics().inbound_calls) == (1, 1)
            first.say(*_tone(900))
            await trio.sleep(0.5)
            assert first.counters.packets_received > sent + 10
            await first.hang_up()
            one.end_calls()
            assert await _status_of_large_body(haproxy) == 413
    assert _logs_with(_tokens(carrier), tmp_path) == []
    for line in (" GET /telnyx/media/- 101 ", " POST /telnyx/events 413 "):
        assert _logs_with([line], tmp_path) == ["output.log"]


async def _status_of_large_body(proxy: Proxy) -> int:
    """Return the answer to a webhook that announces a body of 10 MB; none of it is sent."""
    port = int(proxy.url.rpartition(":")[2])
    async with await trio.open_ssl_over_tcp_stream(
        "localhost", port, ssl_context=proxy.trust, https_compatible=True
    ) as stream:
        await stream.send_all(
            b"POST /telnyx/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10000000\r\n\r\n"
        )
        reply = await stream.receive_some()
    return int(reply.split()[1])


async def _wait_for_server(proxy: Proxy, server: CallServer) -> None:
    """Wait until the proxy leads to a server, as its own proof tells."""
    with trio.fail_after(20):
        while True:
            challenge = secrets.token_hex(16)
            reply = await proxy.http.get("/healthz", headers={CHALLENGE_HEADER: challenge})
            proof = server.self_proof.prove(challenge.encode()).decode()
            if reply.status_code == 200 and reply.headers.get(PROOF_HEADER) == proof:
                return
            await trio.sleep(0.1)


def _logs_with(texts: list[str], folder: Path) -> list[str]:
    """Return the names of the log files in which one of these texts stands."""
    logs = {path.name: path.read_text() for path in sorted(folder.glob("*.log"))}
    return [name for name, logged in logs.items() if any(text in logged for text in texts)]


@pytest.mark.parametrize("name", ["Caddyfile", "haproxy.cfg"])
def test_other_proxies_take_their_files(name: str, tmp_path: Path) -> None:
    """Caddy and HAProxy find nothing wrong, each with its own check."""
    path = tmp_path / name
    write_self_signed(tmp_path / "certificate.pem")
    text = (FILES / name).read_text()
    if name == "Caddyfile":
        command = [find_program("caddy"), "validate", "--adapter", "caddyfile", "--config"]
        changes = {"/var/log/caddy": str(tmp_path)}
    else:
        command = [find_program("haproxy"), "-c", "-f"]
        changes = {"/etc/haproxy/certs/phone.example.com.pem": str(tmp_path / "certificate.pem")}
    path.write_text(adapt(text, **changes))
    environment = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run([*command, str(path)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ALERT" not in done.stderr
