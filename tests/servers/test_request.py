"""One request off a stream."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from telnyx_trio.servers._request import MAX_HEAD_SIZE_BYTES, BadRequest, Request, receive_request

LINE = b"POST /a?b HTTP/1.1\r\nHost: x\r\n"


async def request_of(sent: bytes, *, ends: bool = True) -> tuple[Request | None, bytes | None]:
    """Return the request in these bytes, and its body."""
    ours, theirs = trio.testing.memory_stream_pair()
    await theirs.send_all(sent)
    if ends:
        await theirs.send_eof()
    request = await receive_request(ours)
    return request, None if request is None else await request.receive_body()


@pytest.mark.parametrize(
    ("sent", "body"),
    [
        (LINE + b"\r\n", b""),
        (LINE + b"content-length: 4\r\n\r\nbody", b"body"),
        (LINE + b"Content-Length:\t4 \r\n\r\nbodyGET / HTTP/1.1\r\n\r\n", b"body"),
        (LINE + b"transfer-encoding: chunked\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n", b"body"),
    ],
)
async def test_request_is_rewritten_alone_and_whole(sent: bytes, body: bytes) -> None:
    """However its body came, it goes on with its length, closes, and brings nothing behind it."""
    request, received = await request_of(sent)
    assert request is not None
    assert request.path == "/a?b"
    assert received == body
    rewritten = request.rewritten(body, [(b"x-peer", b"1.2.3.4")])
    head, _, rest = rewritten.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /a?b HTTP/1.1\r\n")
    assert b"\r\nx-peer: 1.2.3.4\r\nconnection: close" in head
    assert head.lower().count(b"content-length") == (1 if body else 0)
    assert b"transfer-encoding" not in head.lower()
    assert rest == body


async def test_old_request_without_host_gets_one() -> None:
    """As simple health checkers send it."""
    request, _ = await request_of(b"GET /healthz HTTP/1.0\r\n\r\n")
    assert request is not None
    assert b"\r\nhost: localhost" in request.rewritten(b"", [])


async def test_added_header_replaces_that_of_the_peer() -> None:
    """Whoever sends our header's name sends it in vain."""
    request, _ = await request_of(LINE + b"X-Peer: forged\r\nupgrade: h2c\r\n\r\n")
    assert request is not None
    rewritten = request.rewritten(b"", [(b"x-peer", b"real")])
    assert b"forged" not in rewritten
    assert b"h2c" not in rewritten


async def test_received_bytes_are_kept_for_whoever_reads_the_head_again() -> None:
    """Those behind the head too."""
    ours, theirs = trio.testing.memory_stream_pair()
    await theirs.send_all(LINE + b"\r\nmore")
    request = await receive_request(ours)
    assert request is not None
    assert request.received == LINE + b"\r\nmore"
    assert "a?b" not in repr(request)


async def test_continue_is_said_to_who_waits_for_it() -> None:
    """A peer that asks first gets its 100, then sends its body."""
    ours, theirs = trio.testing.memory_stream_pair()
    await theirs.send_all(LINE + b"content-length: 2\r\nexpect: 100-continue\r\n\r\n")
    request = await receive_request(ours)
    assert request is not None
    received: list[bytes | None] = []

    async def receive() -> None:
        received.append(await request.receive_body())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        assert (await theirs.receive_some()).startswith(b"HTTP/1.1 100 ")
        await theirs.send_all(b"ok")
    assert received == [b"ok"]
    assert b"expect" not in request.rewritten(b"ok", [])


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (b"content-length: 5\r\ncontent-length: 6", 400),
        (b"content-length: +5", 400),
        (b"content-length : 5", 400),
        (b"x", 400),
        (b"content-length: 1048577", 413),
        (b"transfer-encoding: identity", 501),
        (b"x: " + b"y" * 3 * MAX_HEAD_SIZE_BYTES, 431),
    ],
)
async def test_unsound_head_is_refused(headers: bytes, status: int) -> None:
    """With the status that says why."""
    with pytest.raises(BadRequest) as caught:
        await request_of(LINE + headers + b"\r\n\r\n")
    assert caught.value.status == status


async def test_peer_that_leaves_before_its_head_is_whole() -> None:
    """Nothing said is no request; half a head is a bad one."""
    assert await request_of(b"") == (None, None)
    with pytest.raises(BadRequest):
        await request_of(LINE)
