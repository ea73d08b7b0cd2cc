"""The REST side's two doors: hypercorn on a port, and an httpx transport in memory."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import httpx
import hypercorn.trio
import trio
from hypercorn.config import Config

from .._types import MAX_BODY_SIZE_BYTES
from ._faults import ConnectionDropped
from ._refusals import Refusal, Response
from ._rest import RestApi

_Event: TypeAlias = dict[str, Any]
_Receive: TypeAlias = Callable[[], Awaitable[Any]]
_Send: TypeAlias = Callable[[Any], Awaitable[None]]

_CUT_SHORT: Final[_Event] = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-length", b"1")],
}
"""ASGI knows no dropped connection; an answer that breaks off before its body comes closest."""


async def serve_rest(
    api: RestApi,
    host: str,
    port: int,
    *,
    task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve the API on a port until cancelled; reports the port.

    Raises:
        OSError: the address can't be listened at.
    """

    async def app(scope: Any, receive: _Receive, send: _Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http":
            await _answer(api, scope, receive, send)

    # Bound here: hypercorn 0.18 leaves its socket open when the address can't be had.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family)
    bound_port: int = listener.getsockname()[1]
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.errorlog = None
    config.include_date_header = False  # the API has its own, which may be wrong on purpose
    async with trio.open_nursery() as nursery:
        await nursery.start(hypercorn.trio.serve, app, config)
        task_status.started(bound_port)


async def _live(receive: _Receive, send: _Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def _answer(api: RestApi, scope: _Event, receive: _Receive, send: _Send) -> None:
    body = bytearray()
    more = True
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":
            return
        body += event.get("body", b"")
        if len(body) > MAX_BODY_SIZE_BYTES:
            await _reply(Refusal(413, "10015", "the body is too large").response(), send)
            return
        more = event.get("more_body", False)
    query = scope["query_string"].decode("ascii")
    target = scope["raw_path"].decode("ascii") + (f"?{query}" if query else "")
    try:
        response = await api.handle(scope["method"], target, scope["headers"], bytes(body))
    except ConnectionDropped:
        await send(_CUT_SHORT)
        return
    await _reply(response, send)


async def _reply(response: Response, send: _Send) -> None:
    length = (b"content-length", str(len(response.body)).encode("ascii"))
    headers: Sequence[tuple[bytes, bytes]] = [*response.headers, length]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


class MemoryHttpTransport(httpx.AsyncBaseTransport):
    """Gives an ``httpx.AsyncClient`` a carrier to talk to, without a socket.

    A request runs in the carrier's nursery: as over a network, it takes effect even when the client
    has gone meanwhile. ``connect`` and ``read`` timeouts of the client hold for the whole request.

    Args:
        api: to be asked.
        nursery: of the carrier.
    """

    def __init__(self, api: RestApi, nursery: trio.Nursery) -> None:
        self._api = api
        self._nursery = nursery

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Handle one request.

        Raises:
            httpx.RemoteProtocolError: a fault dropped the connection.
            httpx.ReadTimeout: no reply within the client's read timeout.
        """
        body = await request.aread()
        send, receive = trio.open_memory_channel[Response](1)
        self._nursery.start_soon(self._handle, request, body, send)
        with receive, _read_timeout(request):
            try:
                response = await receive.receive()
            except trio.EndOfChannel:
                message = "Server disconnected without sending a response."
                raise httpx.RemoteProtocolError(message) from None
        return httpx.Response(response.status, headers=response.headers, content=response.body)

    async def _handle(
        self, request: httpx.Request, body: bytes, send: trio.MemorySendChannel[Response]
    ) -> None:
        target = request.url.raw_path.decode("ascii")
        with send:
            try:
                response = await self._api.handle(request.method, target, request.headers.raw, body)
            except ConnectionDropped:
                return
            try:
                send.send_nowait(response)
            except trio.BrokenResourceError:
                return  # the client has gone


@contextmanager
def _read_timeout(request: httpx.Request) -> Iterator[None]:
    timeout = request.extensions.get("timeout", {}).get("read")
    if timeout is None:
        yield
        return
    try:
        with trio.fail_after(timeout):
            yield
    except trio.TooSlowError as error:
        raise httpx.ReadTimeout("", request=request) from error
