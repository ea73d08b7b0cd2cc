"""Calls on one server, however it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from benchmarks.load.media import MediaCall, Pacer, Stats
from benchmarks.load.telnyx import Telnyx

OPEN_TIMEOUT = 25.0
"""Seconds within which all calls must be open."""


class World:
    """The calls of a run.

    Attributes:
        telnyx: the carrier; None where media sockets are opened without one.
        calls: those that are open.
        pacer: lets calls speak.
    """

    def __init__(self, url: str, telnyx: Telnyx | None) -> None:
        self.url = url
        self.telnyx = telnyx
        self.calls: list[MediaCall] = []
        self.pacer = Pacer()
        self._n = 0

    async def open(self, n: int, stats: Stats, *, speaks: bool = True, at_once: int = 4) -> None:
        """Open calls.

        Args:
            n: how many.
            stats: where they count.
            speaks: False leaves them at rest.
            at_once: how many are under way at a time.
        """
        numbers = iter(range(self._n, self._n + n))
        self._n += n
        async with asyncio.timeout(OPEN_TIMEOUT), asyncio.TaskGroup() as group:
            for _ in range(min(at_once, n)):
                group.create_task(self._open_each(numbers, stats, speaks))

    async def open_one(self, stats: Stats) -> MediaCall:
        """Open one call, which speaks."""
        number = self._n
        self._n += 1
        async with asyncio.timeout(OPEN_TIMEOUT):
            return await self._open(number, stats, True)

    async def close(self, calls: Iterable[MediaCall], at_once: int = 4) -> None:
        """Let the far party of calls hang up."""
        rest = iter(list(calls))

        async def close_each() -> None:
            for call in rest:
                call.close()
                self.calls.remove(call)
                if self.telnyx is not None:
                    await self.telnyx.post(
                        "call.hangup", call.call_id, hangup_cause="normal_clearing"
                    )

        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(close_each())

    async def _open_each(self, numbers: Iterable[int], stats: Stats, speaks: bool) -> None:
        for number in numbers:
            await self._open(number, stats, speaks)

    async def _open(self, number: int, stats: Stats, speaks: bool) -> MediaCall:
        url, call_id = self.url, f"call-{number}"
        if self.telnyx is not None:
            call_id, ringing = self.telnyx.ring(number)
            await ringing
            url = await self.telnyx.answered(call_id)
        call = MediaCall(number, call_id, stats)
        await call.connect(url)
        self.calls.append(call)
        if speaks:
            self.pacer.add(call)
        return call
