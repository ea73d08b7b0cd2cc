"""How a WebSocket lives and how its end is told: states, and close codes to Trio's errors."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

import trio

from .._redact import cut

NORMAL_CLOSURE: Final = 1000
NO_STATUS: Final = 1005
ABNORMAL_CLOSURE: Final = 1006
INTERNAL_ERROR: Final = 1011
FORBIDDEN: Final = 403
"""The HTTP status of a handshake that is closed rather than accepted, as ASGI has it."""

_BREACHES: Final = {
    1002: "a protocol error",
    1007: "data that does not fit its type",
    1009: "a message that is too big",
}
"""RFC 6455 section 7.4.1. trio-websocket reports such a code alike whether it or the peer found the
breach; for the reader it is the same: the stream of messages broke off."""


class State(Enum):
    """The life of an adapter, always in this order."""

    OFFERED = auto()  # the handshake is there and not answered
    OPEN = auto()
    CLOSED = auto()  # by us; what the peer did is kept apart


class WebSocketRejected(trio.BrokenResourceError):
    """The server answered our handshake with something else than 101.

    Attributes:
        status: HTTP status code.
    """

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(f"WebSocket handshake rejected with HTTP {status}")


def end_error(code: int | None, reason: str | None = "") -> Exception:
    """Build the error that tells a receiver how the peer ended the connection.

    Args:
        code: the close code (RFC 6455 section 7.4); 1006 stands for "no close frame came". None is
            the same.
        reason: the peer's text, shown cut.

    Returns:
        trio.EndOfChannel or trio.BrokenResourceError.
    """
    if code is None or code == ABNORMAL_CLOSURE:
        return trio.BrokenResourceError("the peer vanished without a close frame")
    text = f" ({cut(reason)})" if reason else ""
    if code in _BREACHES:
        return trio.BrokenResourceError(f"closed over {_BREACHES[code]}: code {code}{text}")
    return trio.EndOfChannel(f"the peer closed with code {code}{text}")


def closed_error() -> trio.ClosedResourceError:
    """Build the error for using a WebSocket that we closed."""
    return trio.ClosedResourceError("this WebSocket was closed on our side")


def cannot_send_error() -> trio.BrokenResourceError:
    """Build the error for sending to a peer that can't take it any more."""
    return trio.BrokenResourceError("the peer is gone, or an earlier send was cut off")
