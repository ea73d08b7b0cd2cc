"""Adapter for an ASGI 3 ``websocket`` scope.

Source: asgi.readthedocs.io, "HTTP & WebSocket ASGI Message Format", version 2.5.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import partial
from typing import Any, TypeAlias

import trio

from .._errors import LocalProtocolError
from ._served import PeerClosed, ServedWebSocket
from ._state import FORBIDDEN, NO_STATUS, State

AsgiScope: TypeAlias = Mapping[str, Any]
AsgiReceive: TypeAlias = Callable[[], Awaitable[Mapping[str, Any]]]
AsgiSend: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class AsgiWebSocket(ServedWebSocket):
    """The WebSocket of an ASGI application's ``scope``, ``receive`` and ``send``.

    Two limits are the server's. hypercorn 0.18 shields its socket write without bound: while the
    peer reads nothing, ``send_text`` and ``aclose`` can't be cancelled. And it reports every end
    that the peer began with code 1006, so that ``receive_text`` tells a proper close there, too, as
    a BrokenResourceError.

    Args:
        scope: of type "websocket"; "websocket.connect" has not been received yet.
        receive: of the application.
        send: of the application.
    """

    def __init__(self, scope: AsgiScope, receive: AsgiReceive, send: AsgiSend) -> None:
        super().__init__(scope_path(scope), scope_headers(scope), State.OFFERED)
        self._asgi_receive = receive
        self._asgi_send = send
        self._has_connect = False
        self._can_respond = "websocket.http.response" in (scope.get("extensions") or {})

    async def reject(self, status: int = FORBIDDEN, body: bytes = b"") -> None:
        """Answer the handshake with an HTTP error; with 403 where the server offers no choice.

        Raises:
            LocalProtocolError: the handshake was answered already.
        Blocks: at most CLOSE_TIMEOUT, unless the server shields its writes.
        """
        if self._state is not State.OFFERED:
            raise LocalProtocolError("only a handshake that is not answered yet can be rejected")
        if not self._can_respond:
            await self.aclose()
            return
        self._state = State.CLOSED
        await self._say_last(partial(self._respond, status, body))
        await trio.lowlevel.checkpoint()

    async def _respond(self, status: int, body: bytes) -> None:
        headers = [(b"content-length", str(len(body)).encode())]
        await self._asgi_send(
            {"type": "websocket.http.response.start", "status": status, "headers": headers}
        )
        await self._asgi_send({"type": "websocket.http.response.body", "body": body})

    async def _accept(self) -> None:
        if not self._has_connect:
            message = await self._asgi_receive()
            if message["type"] == "websocket.disconnect":
                raise PeerClosed(message.get("code"), message.get("reason"))
            self._has_connect = True
        await self._asgi_send({"type": "websocket.accept"})

    async def _receive(self) -> str:
        return text_of(await self._asgi_receive())

    async def _send(self, text: str) -> None:
        await self._asgi_send({"type": "websocket.send", "text": text})

    async def _close(self, code: int, reason: str) -> None:
        await self._asgi_send({"type": "websocket.close", "code": code, "reason": reason})


def scope_path(scope: AsgiScope) -> str:
    """Rebuild the request target; ``raw_path`` where the server gives it, as it is not decoded."""
    raw_path: bytes | None = scope.get("raw_path")
    path = raw_path.partition(b"?")[0].decode("latin-1") if raw_path else str(scope["path"])
    query = bytes(scope.get("query_string", b"")).decode("latin-1")
    return f"{path}?{query}" if query else path


def scope_headers(scope: AsgiScope) -> list[tuple[bytes, bytes]]:
    """List the request's headers, names in lower case."""
    return [(bytes(name).lower(), bytes(value)) for name, value in scope.get("headers", ())]


def text_of(message: Mapping[str, Any]) -> str:
    """Return the text of "websocket.receive"; raise PeerClosed for "websocket.disconnect"."""
    if message["type"] == "websocket.disconnect":
        raise PeerClosed(message.get("code", NO_STATUS), message.get("reason"))
    text = message.get("text")
    return text if text is not None else bytes(message["bytes"]).decode("utf-8", "replace")
