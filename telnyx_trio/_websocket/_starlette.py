"""Adapter for Starlette's and FastAPI's WebSocket, and for what looks like one.

Nothing of Starlette is imported: its objects are known by their methods, its disconnect by its
class name. The least that will do is the Vision Agents plugin's protocol: ``accept``,
``receive_text`` and ``send_json``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeGuard

from ._asgi import scope_headers, scope_path, text_of
from ._served import PeerClosed, ServedWebSocket
from ._state import State


class StarletteWebSocket(ServedWebSocket):
    """A Starlette or FastAPI ``WebSocket``, or an object with a part of its methods.

    One that was accepted before is taken as open. The limits of ``AsgiWebSocket`` hold here too.

    Args:
        websocket: with ``accept()``, ``receive_text()``, and ``send_text(text)`` or
            ``send_json(obj)``; ``receive()`` (for binary messages) and ``close(code, reason)`` are
            used where they are.
    """

    def __init__(self, websocket: Any) -> None:
        scope = getattr(websocket, "scope", None)
        path, headers = "", list[tuple[bytes, bytes]]()
        if isinstance(scope, Mapping):
            path, headers = scope_path(scope), scope_headers(scope)
        application_state = getattr(websocket, "application_state", None)
        is_open = getattr(application_state, "name", None) == "CONNECTED"
        super().__init__(path, headers, State.OPEN if is_open else State.OFFERED)
        self._websocket = websocket

    async def _accept(self) -> None:
        await self._websocket.accept()

    async def _receive(self) -> str:
        try:
            if _has(self._websocket, "receive"):
                return text_of(await self._websocket.receive())
            text: str = await self._websocket.receive_text()
        except Exception as error:
            code = _disconnect_code(error)
            if code is None:
                raise
            raise PeerClosed(code, getattr(error, "reason", None)) from None
        return text

    async def _send(self, text: str) -> None:
        if _has(self._websocket, "send_text"):
            await self._websocket.send_text(text)
        else:
            await self._websocket.send_json(json.loads(text))

    async def _close(self, code: int, reason: str) -> None:
        if _has(self._websocket, "close"):
            await self._websocket.close(code, reason)


def is_starlette_like(obj: object) -> TypeGuard[Any]:
    """Tell whether ``StarletteWebSocket`` can adapt this."""
    return (
        _has(obj, "accept")
        and _has(obj, "receive_text")
        and (_has(obj, "send_text") or _has(obj, "send_json"))
    )


def _has(obj: object, method: str) -> bool:
    return callable(getattr(obj, method, None))


def _disconnect_code(error: Exception) -> int | None:
    """Return the close code of Starlette's WebSocketDisconnect, or of a class derived from it."""
    names = (cls.__name__ for cls in type(error).__mro__)
    code = getattr(error, "code", None)
    return code if "WebSocketDisconnect" in names and isinstance(code, int) else None
