"""A small HTTP server on a loopback port, whose answers a test decides."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeAlias

import h11
import trio

from telnyx_trio._lone_error import unwrap_lone_error

Answer: TypeAlias = tuple[int, list[tuple[str, str]], bytes]
Handle: TypeAlias = Callable[[str, str, dict[str, str], bytes], Awaitable[Answer | None]]
"""From method, target, headers and body to status, headers and body; None hangs up."""


@asynccontextmanager
async def open_http(handle: Handle) -> AsyncIterator[str]:
    """Serve for as long as the block runs; gives the address."""
    with unwrap_lone_error():
        async with trio.open_nursery() as nursery:
            listeners: list[trio.SocketListener] = await nursery.start(
                partial(trio.serve_tcp, partial(_serve, handle), 0, host="127.0.0.1")
            )
            yield f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
            nursery.cancel_scope.cancel()


async def _serve(handle: Handle, stream: trio.SocketStream) -> None:
    try:
        while await _serve_one(handle, stream):
            pass
    except trio.BrokenResourceError:
        pass


async def _serve_one(handle: Handle, stream: trio.SocketStream) -> bool:
    connection = h11.Connection(h11.SERVER)
    request: h11.Request | None = None
    body = b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await stream.receive_some())
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            break
        else:
            return False
    assert request is not None
    headers = {name.decode(): value.decode() for name, value in request.headers}
    answer = await handle(request.method.decode(), request.target.decode(), headers, body)
    if answer is None:
        return False
    status, answer_headers, answer_body = answer
    head = h11.Response(
        status_code=status, headers=[*answer_headers, ("content-length", str(len(answer_body)))]
    )
    sent = connection.send(head) or b""
    sent += connection.send(h11.Data(answer_body)) or b""
    await stream.send_all(sent + (connection.send(h11.EndOfMessage()) or b""))
    return True
