"""Find the adapter for whatever WebSocket a user brings."""

from __future__ import annotations

from typing import Any, TypeGuard

from trio_websocket import WebSocketConnection, WebSocketRequest

from ._asgi import AsgiWebSocket
from ._seam import WebSocket
from ._starlette import StarletteWebSocket, is_starlette_like
from ._trio import TrioWebSocket

_SEAM_METHODS = ("accept", "receive_text", "send_text", "ping", "aclose")


def as_websocket(obj: Any) -> WebSocket:
    """Return ``obj`` if it offers the seam, else an adapter for it.

    Args:
        obj: an object with the methods of ``WebSocket``; a trio-websocket ``WebSocketConnection``
            or ``WebSocketRequest``; an ASGI ``(scope, receive, send)`` tuple; a Starlette or
            FastAPI ``WebSocket`` or what looks like one.

    Raises:
        TypeError: it is none of these.
    """
    if isinstance(obj, WebSocketConnection | WebSocketRequest):
        return TrioWebSocket(obj)
    if _offers_seam(obj):
        return obj
    if isinstance(obj, tuple) and len(obj) == 3:
        return AsgiWebSocket(*obj)
    if is_starlette_like(obj):
        return StarletteWebSocket(obj)
    raise TypeError(
        "not a WebSocket that can be used here: need a trio-websocket WebSocketConnection or "
        "WebSocketRequest, an ASGI (scope, receive, send) tuple, a Starlette or FastAPI WebSocket, "
        f"or an object with {', '.join(_SEAM_METHODS)}; got {type(obj).__name__}"
    )


def _offers_seam(obj: object) -> TypeGuard[WebSocket]:
    return all(callable(getattr(obj, method, None)) for method in _SEAM_METHODS)
