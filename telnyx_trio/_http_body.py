"""A request body that leaves nothing behind when sending it breaks off.

httpx (0.28) iterates over a body with an async generator. When a cancellation or a reset comes
between two of its steps, the garbage collector finds it unfinished, and Trio warns.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx


class WholeBody(httpx.AsyncByteStream):
    """A body in one piece, iterated over by a plain object.

    Args:
        body: raw bytes.
    """

    def __init__(self, body: bytes) -> None:
        self._body = body

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _Once(self._body)


class _Once(AsyncIterator[bytes]):
    def __init__(self, body: bytes) -> None:
        self._left: bytes | None = body

    async def __anext__(self) -> bytes:
        body, self._left = self._left, None
        if body is None:
            raise StopAsyncIteration
        return body
