"""The call server as an ASGI application: webhooks, health and, with a limit, media sockets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import trio

from .._types import EVENTS_PATH, MAX_BODY_SIZE_BYTES, MEDIA_PATH
from .._websocket import AsgiWebSocket
from ._self_check import HEALTH_PATH, PROOF_HEADER
from ._values import MediaRequest

if TYPE_CHECKING:
    from ._server import CallServer

_BODY_TIMEOUT: Final = 10.0
"""Seconds that a request body may take; Telnyx gives up on a webhook after 2 s."""

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class AsgiApplication:
    """``POST /telnyx/events``, ``GET /healthz`` and media sockets under ``/telnyx/media``."""

    def __init__(self, server: CallServer) -> None:
        self.server: Final = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._handle_http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._handle_websocket(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _handle_lifespan(receive, send)

    async def _handle_http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = _path(scope), scope["method"]
        if path == EVENTS_PATH:
            if method != "POST":
                await _respond(send, 405, (b"allow", b"POST"))
                return
            body = await _read_body(scope["headers"], receive)
            if isinstance(body, bytes):
                status = await self.server.handle_webhook(scope["headers"], body, peer=_peer(scope))
                await _respond(send, status)
            elif body is not None:
                await _respond(send, body)
        elif path == HEALTH_PATH:
            if method not in ("GET", "HEAD"):
                await _respond(send, 405, (b"allow", b"GET, HEAD"))
                return
            proof = self.server.self_proof.answer(scope["headers"])
            proofs = [(PROOF_HEADER.encode(), proof)] if proof else []
            await _respond(send, 503 if self.server.is_draining else 200, *proofs)
        else:
            await _respond(send, 404)

    async def _handle_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        websocket = AsgiWebSocket(scope, receive, send)
        path = _path(scope)
        if path != MEDIA_PATH and not path.startswith(f"{MEDIA_PATH}/"):
            await websocket.aclose()
            return
        request = MediaRequest(path, tuple(scope["headers"]), _peer(scope))
        await self.server.handle_media(websocket, request)


def _path(scope: Scope) -> str:
    path: str = scope["path"]
    root: str = scope.get("root_path") or ""
    return path.removeprefix(root) if root and path.startswith(root) else path


def _peer(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else "unknown"


async def _read_body(
    headers: Iterable[tuple[bytes, bytes]], receive: Receive
) -> bytes | HTTPStatus | None:
    """Return the whole body, or the status to refuse it with; None if the peer went away."""
    for name, value in headers:
        # Told beforehand, so that nothing of it need be read.
        if name.lower() == b"content-length":
            if not value.isdigit():
                return HTTPStatus.BAD_REQUEST
            if int(value) > MAX_BODY_SIZE_BYTES:
                return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    parts: list[bytes] = []
    size = 0
    with trio.move_on_after(_BODY_TIMEOUT):
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return None
            part = message.get("body", b"")
            size += len(part)
            if size > MAX_BODY_SIZE_BYTES:
                return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            parts.append(part)
            if not message.get("more_body", False):
                return b"".join(parts)
    return HTTPStatus.REQUEST_TIMEOUT


async def _respond(send: Send, status: int, *more: tuple[bytes, bytes]) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"0"), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _handle_lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
