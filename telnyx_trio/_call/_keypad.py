"""The keys that the far party presses, for who gathers them."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from .._digit_gather import DigitGather, DigitRules, DigitsEnd, GatheredDigits
from .._errors import CallEnded
from .._lone_error import unwrap_lone_error
from .._playback import Playback

_MAX_WAITING: Final = 256
"""Keys that wait for somebody to gather them; more are not kept."""


class Keypad:
    """Keys that wait, and the one who gathers them.

    A key is taken away only when a gathering has its result, so a cancelled one loses none.

    Args:
        make_error: makes the error for who gathers when the call has ended.
    """

    def __init__(self, make_error: Callable[[], Exception]) -> None:
        self._make_error = make_error
        self._waiting: deque[str] = deque()
        # A terminator that comes right behind the last of as many digits as were asked for.
        self._stray = ""
        self._changed: Final = trio.lowlevel.ParkingLot()
        self._gathering: Final = trio.Lock()
        self._prompt: Playback | None = None
        self._ended = False

    def note_pressed(self) -> None:
        """Interrupt a prompt: a key was pressed, which one will be known when its turn has come."""
        if self._prompt is not None:
            self._prompt.interrupt()

    def press(self, digit: str) -> None:
        """Take the next key."""
        stray, self._stray = self._stray, ""
        if digit in stray or len(self._waiting) == _MAX_WAITING:
            return
        self._waiting.append(digit)
        self._changed.unpark_all()

    def end(self) -> None:
        """Note that no key will follow."""
        self._ended = True
        self._changed.unpark_all()

    async def gather(
        self,
        rules: DigitRules,
        play_prompt: Callable[[], Awaitable[Playback]] | None,
        *,
        type_ahead: bool,
    ) -> GatheredDigits:
        """Gather digits; see ``Call.gather_digits``."""
        async with self._gathering:
            if not type_ahead:
                self._waiting.clear()
            gather = DigitGather(rules)
            if play_prompt is not None and not self._waiting and not self._ended:
                self._prompt = await play_prompt()
            try:
                with unwrap_lone_error():
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(self._begin_after_prompt, gather)
                        taken = await self._collect(gather)
                        nursery.cancel_scope.cancel()
            finally:
                if self._prompt is not None:
                    self._prompt.interrupt()
                    self._prompt = None
            for _ in range(taken):
                self._waiting.popleft()
            if gather.ended_by is DigitsEnd.COUNT and not self._waiting:
                self._stray = rules.terminator
            elif gather.ended_by is DigitsEnd.COUNT and self._waiting[0] in rules.terminator:
                self._waiting.popleft()
            return gather.result()

    async def _begin_after_prompt(self, gather: DigitGather) -> None:
        if self._prompt is not None:
            try:
                await self._prompt.done()
            except CallEnded:
                return  # who gathers is told by `end`
        gather.begin(trio.current_time())
        self._changed.unpark_all()

    async def _collect(self, gather: DigitGather) -> int:
        """Wait for the end of a gathering; return how many of the keys that wait it took.

        Raises:
            CallEnded: the call ended before.
        """
        taken = 0
        while gather.ended_by is None:
            if taken < len(self._waiting):
                gather.press(self._waiting[taken], trio.current_time())
                taken += 1
                continue
            if self._ended:
                raise self._make_error()
            with trio.move_on_at(gather.deadline):
                await self._changed.park()
            if taken == len(self._waiting):
                gather.expire(trio.current_time())
        return taken
