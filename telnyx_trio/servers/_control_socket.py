"""What calls a running server has, for programs of the same user: over a Unix socket.

The socket lies in the user's state folder, which nobody else can enter, and is mode 0600 itself.
Who connects gets one line of JSON and the end of the stream; nothing is read from there. It holds
numbers and ids, but no token, no client_state and no audio.

It is bound under another name first and moved into place once it listens: so what has the final
name and refuses a connection belongs to a server that is dead.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import trio

from .._errors import ConfigurationError
from .._state_folder import STATE_FOLDER_VARIABLE, open_state_folder

if TYPE_CHECKING:
    from ._server import CallServer

_FOLDER: Final = "servers"
_SUFFIX: Final = ".sock"

_server_numbers = itertools.count(1)
"""Tells the servers of one process apart, in a name as short as can be."""

_MAX_PATH_BYTES: Final = 107
"""Of a Unix socket's address on Linux, without the zero at its end (unix(7))."""

_TIMEOUT: Final = 2.0
"""Seconds for one exchange on this machine."""

_MAX_REPLY_BYTES: Final = 4 * 1024 * 1024


@asynccontextmanager
async def open_control_socket(
    server: CallServer, *, state_dir: str | Path | None = None
) -> AsyncIterator[Path]:
    """Let ``telnyx-trio calls`` see the calls of ``server`` while the body runs.

    Args:
        server: whose calls.
        state_dir: instead of the user's state folder, or ``TELNYX_TRIO_STATE_DIR``.

    Raises:
        ConfigurationError: the path of the folder is too long for a Unix socket.
        OSError: the folder or the socket can't be made.
        Exception: what the body raised, as itself or in a group.
    Cancelled: the socket is removed.
    """
    folder = open_state_folder(_FOLDER, root=state_dir)
    path = folder / f"{os.getpid()}-{next(_server_numbers)}{_SUFFIX}"
    unfinished = path.with_suffix(".new")
    if len(os.fsencode(unfinished)) > _MAX_PATH_BYTES:
        raise ConfigurationError(
            [
                f"{folder} is too long a path for a Unix socket;"
                f" set {STATE_FOLDER_VARIABLE} to a shorter one"
            ]
        )
    listener = await _listen(unfinished)
    try:
        unfinished.rename(path)
        async with trio.open_nursery() as nursery:

            async def answer(stream: trio.SocketStream) -> None:
                await _send_summary(server, stream)

            nursery.start_soon(trio.serve_listeners, answer, [listener])
            yield path
            nursery.cancel_scope.cancel()
    finally:
        _remove(unfinished)
        _remove(path)
        listener.socket.close()


async def list_servers(*, state_dir: str | Path | None = None) -> list[dict[str, Any]]:
    """Ask every server of this user on this machine for its calls.

    What dead servers left is removed. A server that does not answer within 2 s is left out.

    Args:
        state_dir: as for ``open_control_socket``.

    Returns:
        One decoded summary a server, by the time it started: "pid", "url", "public_url",
        "started_at", "is_draining", "statistics" and "calls"; see ``CallServer.summary``.

    Raises:
        OSError: the folder can't be read.
    """
    folder = open_state_folder(_FOLDER, root=state_dir)
    summaries: list[dict[str, Any]] = []

    async def ask(path: Path) -> None:
        summary = await _ask(path)
        if summary is not None:
            summaries.append(summary)

    async with trio.open_nursery() as nursery:
        for path in sorted(folder.glob(f"*{_SUFFIX}")):
            nursery.start_soon(ask, path)
    return sorted(summaries, key=lambda summary: str(summary.get("started_at")))


async def _listen(path: Path) -> trio.SocketListener:
    sock = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
    try:
        _remove(path)  # of a process of the same id that was killed
        await sock.bind(str(path))
        # Nobody can connect before `listen`.
        _keep_private(path)
        sock.listen(8)
    except BaseException:
        sock.close()
        _remove(path)
        raise
    return trio.SocketListener(sock)


async def _send_summary(server: CallServer, stream: trio.SocketStream) -> None:
    summary = {
        "pid": os.getpid(),
        "url": server.url,
        "public_url": server.config.public_url,
        "started_at": server.started_at.isoformat(timespec="seconds"),
        "is_draining": server.is_draining,
        "statistics": asdict(server.statistics()),
        "calls": [asdict(call) for call in server.summary()],
        "now": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    with trio.move_on_after(_TIMEOUT), contextlib.suppress(trio.BrokenResourceError):
        async with stream:
            await stream.send_all(json.dumps(summary).encode() + b"\n")


async def _ask(path: Path) -> dict[str, Any] | None:
    reply = bytearray()
    with trio.move_on_after(_TIMEOUT) as scope:
        try:
            async with await trio.open_unix_socket(str(path)) as stream:
                async for part in stream:
                    reply += part
                    if len(reply) > _MAX_REPLY_BYTES:
                        return None
        except ConnectionRefusedError:
            _remove(path)
            return None
        except (OSError, trio.BrokenResourceError):
            return None  # it ended just now
    if scope.cancelled_caught:
        return None
    try:
        summary = json.loads(reply)
    except ValueError:
        return None
    return summary if isinstance(summary, dict) else None


def _keep_private(path: Path) -> None:
    path.chmod(0o600)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
