"""Bodies of HTTP requests."""

from __future__ import annotations

import gc

import httpx
import trio

from telnyx_trio._http_body import WholeBody


async def test_it_gives_its_bytes_once() -> None:
    """One piece, and again for a second iteration."""
    body = WholeBody(b"abc")
    assert [part async for part in body] == [b"abc"]
    assert [part async for part in body] == [b"abc"]


async def test_breaking_off_leaves_nothing_to_the_garbage_collector() -> None:
    """An iteration that is given up after its first step makes no warning, which is an error."""
    request = httpx.Request("POST", "http://server.invalid/", content=b"abc")
    request.stream = WholeBody(request.content)
    iterator = request.stream.__aiter__()
    assert await iterator.__anext__() == b"abc"
    del iterator
    gc.collect()
    await trio.lowlevel.checkpoint()
