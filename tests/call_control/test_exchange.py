"""One exchange with the REST API: errors of the transport, and real sockets."""

from __future__ import annotations

import inspect
from functools import partial

import httpx
import pytest
import trio
from trio.testing import MockClock

from telnyx_trio._errors import CallControlUnreachable
from telnyx_trio.call_control import open_client
from telnyx_trio.call_control._retry import MAX_ATTEMPTS

BASE_URL = "https://telnyx.example/v2"


HTTPX_ERRORS = [
    error for _, error in inspect.getmembers(httpx, inspect.isclass) if issubclass(error, Exception)
]


def make(error: type[Exception]) -> Exception:
    if issubclass(error, httpx.HTTPStatusError):
        request = httpx.Request("POST", BASE_URL)
        return error("fault", request=request, response=httpx.Response(500))
    parameters = inspect.signature(error).parameters
    return error("fault") if parameters else error()


class BrokenTransport(httpx.AsyncBaseTransport):
    """Fails each time, and counts."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.attempts = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.attempts += 1
        raise self.error


@pytest.mark.parametrize("error", HTTPX_ERRORS)
async def test_no_httpx_error_is_unmapped(
    error: type[Exception], autojump_clock: MockClock
) -> None:
    """Whatever httpx raises comes out as ours, with httpx's as its cause."""
    transport = BrokenTransport(make(error))
    async with open_client("KEY", base_url=BASE_URL, transport=transport) as client:
        with pytest.raises(CallControlUnreachable) as caught:
            await client.hangup("v3:abc")
    assert caught.value.__cause__ is transport.error
    assert transport.attempts == MAX_ATTEMPTS


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (httpx.ConnectError, MAX_ATTEMPTS),
        (httpx.ConnectTimeout, MAX_ATTEMPTS),
        (httpx.PoolTimeout, MAX_ATTEMPTS),
        (httpx.ReadTimeout, 1),
        (httpx.WriteError, 1),
        (httpx.RemoteProtocolError, 1),
    ],
)
async def test_dial_is_sent_again_only_before_it_was_sent(
    error: type[Exception], attempts: int, autojump_clock: MockClock
) -> None:
    """A dial whose fate is unknown is not repeated, and the error tells which it was."""
    transport = BrokenTransport(make(error))
    async with open_client("KEY", base_url=BASE_URL, transport=transport) as client:
        with pytest.raises(CallControlUnreachable) as caught:
            await client.dial(to="+15550100001", from_="+15550100002", connection_id="7")
    assert transport.attempts == attempts
    assert caught.value.request_sent is (attempts == 1)


class SlowTelnyx:
    """A server on real sockets that answers each request after a delay."""

    reply = b'{"data":{"result":"ok"}}'

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.paths: list[bytes] = []
        self.connections = 0

    async def serve(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        received = b""
        while True:
            while b"\r\n\r\n" not in received:
                data = await stream.receive_some()
                if not data:
                    return
                received += data
            head, received = received.split(b"\r\n\r\n", 1)
            lines = head.lower().split(b"\r\n")
            length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
            while len(received) < length:
                received += await stream.receive_some()
            received = received[length:]
            self.paths.append(head.split(b" ")[1])
            await trio.sleep(self.delay)
            await stream.send_all(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
                b"content-length: %d\r\n\r\n%b" % (len(self.reply), self.reply)
            )


async def listen(server: SlowTelnyx, nursery: trio.Nursery) -> str:
    listeners: list[trio.SocketListener] = await nursery.start(
        partial(trio.serve_tcp, server.serve, 0, host="127.0.0.1")
    )
    return f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}/v2"


async def test_200_hangups_at_once_stay_within_their_deadline(nursery: trio.Nursery) -> None:
    """200 calls that hang up together at 250 ms a reply need less than 5 s, on real sockets."""
    server = SlowTelnyx(0.25)
    base_url = await listen(server, nursery)
    async with open_client("KEY", base_url=base_url) as client:
        with trio.fail_after(5):
            async with trio.open_nursery() as hangups:
                for number in range(200):
                    hangups.start_soon(client.hangup, f"v3:{number}")
    assert len(set(server.paths)) == 200
    assert server.connections < 200
    nursery.cancel_scope.cancel()


async def test_connection_is_kept_for_the_next_command(nursery: trio.Nursery) -> None:
    """Commands one after another share a connection."""
    server = SlowTelnyx(0)
    base_url = await listen(server, nursery)
    async with open_client("KEY", base_url=base_url) as client:
        for number in range(3):
            await client.hangup(f"v3:{number}")
    assert server.connections == 1
    nursery.cancel_scope.cancel()


async def test_cancelled_request_frees_its_connection(nursery: trio.Nursery) -> None:
    """A cancelled command ends at once, and the client goes on working."""
    server = SlowTelnyx(3600)
    base_url = await listen(server, nursery)
    async with open_client("KEY", base_url=base_url) as client:
        with trio.move_on_after(0.05) as scope:
            await client.hangup("v3:1")
        assert scope.cancelled_caught
        server.delay = 0
        await client.hangup("v3:2")
    assert server.paths[-1] == b"/v2/calls/v3%3A2/actions/hangup"
    nursery.cancel_scope.cancel()
