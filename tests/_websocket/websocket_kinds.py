"""Every kind of WebSocket that the conformance suite runs against."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
import trio
from _websocket.websocket_peers import (
    Ends,
    open_asgi,
    open_client,
    open_hypercorn,
    open_memory,
    open_memory_client,
    open_request,
    open_server_connection,
    open_socket,
    open_starlette,
    open_ticking_socket,
)

from telnyx_trio._websocket import WebSocket

OpenEnds = Callable[[], AbstractAsyncContextManager[Ends]]

ON_SOCKETS: dict[str, OpenEnds] = {
    "trio-websocket server connection": open_server_connection,
    "trio-websocket client connection": open_client,
    "trio-websocket request": open_request,
    "socket request": open_socket,
    "socket request on a tick": open_ticking_socket,
}
IN_PROCESS: dict[str, OpenEnds] = {
    "ASGI": open_asgi,
    "Starlette": open_starlette,
    "memory": open_memory,
    "memory client": open_memory_client,
}
HYPERCORN: dict[str, OpenEnds] = {"hypercorn": open_hypercorn}
OURS = ON_SOCKETS | IN_PROCESS
MEMORY = {name: IN_PROCESS[name] for name in ("memory", "memory client")}
ALL = OURS | HYPERCORN
OWNED = {name: ON_SOCKETS[name] for name in ON_SOCKETS if "server connection" not in name}
WITH_READER = {name: OWNED[name] for name in OWNED if name.startswith("trio-websocket")}
WITH_REQUEST = {name: ALL[name] for name in ALL if not name.endswith(" connection")}
QUIET = {name: OURS[name] for name in OURS if not name.endswith("on a tick")}
"""Without a clock, whose task is never blocked for long."""

SHORT = 0.05
AT_ONCE = 0.5
"""Seconds; far more than it takes, for machines that are busy with other things."""

STUCK = 0.05
"""Seconds without any progress, after which a full socket will not take more."""


def each(kinds: dict[str, OpenEnds]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("open_ends", kinds.values(), ids=kinds.keys())


def set_close_timeout(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    modules = ("_websocket._trio", "_websocket._socket", "_websocket._served")
    for module in (*modules, "testing._memory_websocket"):
        monkeypatch.setattr(f"telnyx_trio.{module}.CLOSE_TIMEOUT", seconds)


@asynccontextmanager
async def in_time(open_ends: OpenEnds) -> AsyncGenerator[Ends, None]:
    with trio.fail_after(5):
        async with open_ends() as ends:
            yield ends


async def fill_up(websocket: WebSocket) -> None:
    """Send until the transport takes no more, and go on trying."""
    while True:
        await websocket.send_text("x" * 10_000)
