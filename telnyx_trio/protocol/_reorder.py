"""A window that puts the media messages of one track back into order.

Telnyx does not promise order; ``chunk`` numbers the media messages of a track. Theory of operation:

- What comes in order passes at once. A chunk that is ahead waits until the gap before it fills, or
  until the wait has lasted for as long as the ``Patience`` says; then the first gap is given up,
  and what follows it leaves, with something in front that stands for the gap. The time is passed
  in: somebody has to call ``expire`` when ``due`` is there, as it may be that nothing more comes.
- The wait for a chunk begins when one comes that is ahead of it, and anew with every chunk that
  comes in its turn: a number that is far ahead by mistake must not end the wait for the next one.
- A chunk behind the expected one has missed its turn and is dropped. It is a duplicate when it was
  let through, and late when it was given up or lies before the first chunk. Only what was given up
  is remembered, and only for the last ``_MEMORY`` numbers, so that the ordinary packet pays
  nothing; further back everything is late.
- A wrong counter must not silence the call. A jump of more than ``_MAX_JUMP`` either way makes the
  window start anew there. A numbering that starts over closer by shows as a run of late chunks,
  each one above the last; after ``_RESTART_RUN`` of them the window starts anew as well.

Chunks are numbered from 1 by the documentation and from 2 in its samples, so the first one seen
sets the start. Nothing is known of a wrap; it would be a jump like another.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Final, Generic, TypeVar

from ._patience import Patience

T = TypeVar("T")

# Ten seconds of 20 ms packets: a gap longer than that need not be counted packet by packet, and a
# counter gone wrong is seldom wrong by so little.
_MAX_JUMP: Final = 500

# 1.3 s of 20 ms packets. A duplicate from further back is called late, and dropped all the same.
_MEMORY: Final = 64

# Half a second of 20 ms packets: no group of packets is late by that much and still in order on a
# TCP connection.
_RESTART_RUN: Final = 25


class ReorderWindow(Generic[T]):
    """Orders the items of one track by their chunk number.

    Args:
        make_gap: makes what stands for so many missing items.

    Attributes:
        pushed: items taken, whatever became of them.
        late: items dropped because their turn was over when they came.
        duplicates: items dropped because their chunk had been let through or was waiting.
        missing: chunks given up. One that comes afterwards counts as late, too.
        resyncs: times that the numbering jumped or started over.
        due: when to call ``expire``, inf while nothing waits.
        patience: how long is waited.
    """

    __slots__ = (
        "_came_at",
        "_first",
        "_given_up",
        "_held",
        "_last_late",
        "_late_run",
        "_make_gap",
        "_next",
        "_started",
        "due",
        "duplicates",
        "late",
        "missing",
        "patience",
        "pushed",
        "resyncs",
    )

    def __init__(self, make_gap: Callable[[int], T]) -> None:
        self.pushed = 0
        self.late = 0
        self.duplicates = 0
        self.missing = 0
        self.resyncs = 0
        self.due = inf
        self.patience: Final = Patience()
        self._make_gap = make_gap
        # What waits, and since when.
        self._held: dict[int, tuple[T, float]] = {}
        # Chunks that were given up, and when the wait for them began.
        self._given_up: dict[int, float] = {}
        self._started = False
        self._first = 0
        self._next = 0
        self._last_late = 0
        self._late_run = 0
        # When the last chunk that was let through came.
        self._came_at = -inf

    @property
    def held(self) -> int:
        """How many items wait."""
        return len(self._held)

    def push(self, chunk: int | None, item: T, now: float) -> list[T]:
        """Take one item; return what may leave now, in order.

        Args:
            chunk: number of the item; without one it passes at once.
            item: what is to be ordered.
            now: when it came.
        """
        self.pushed += 1
        if chunk == self._next and self._started:
            self._next = chunk + 1
            self._late_run = 0
            if self._held:
                return self._fill(item, now)
            self._came_at = now
            return [item]
        if chunk is None:
            return [item]
        if not self._started:
            self._restart(chunk, now)
            return [item]
        if abs(chunk - self._next) > _MAX_JUMP:
            return self._resynchronise(chunk, item, now)
        if chunk < self._next:
            return self._drop_or_restart(chunk, item, now)
        return self._hold(chunk, item, now)

    def expire(self, now: float) -> list[T]:
        """Return what has waited for long enough, in order, with the gaps before it."""
        released: list[T] = []
        while now >= self.due:
            released += self._give_up_first_gap()
        return released

    def flush(self) -> list[T]:
        """Return what waits, in order, with the gaps before it."""
        released: list[T] = []
        while self._held:
            released += self._give_up_first_gap()
        return released

    def _fill(self, item: T, now: float) -> list[T]:
        self.patience.came(now - self._waiting_since())
        self._came_at = now
        return [item, *self._drain()]

    def _hold(self, chunk: int, item: T, now: float) -> list[T]:
        if chunk in self._held:
            self.duplicates += 1
            return self.expire(now)
        self._late_run = 0
        self._held[chunk] = (item, now)
        if self.due == inf:
            self.due = now + self.patience.seconds
        return self.expire(now)

    def _give_up_first_gap(self) -> list[T]:
        first = min(self._held)
        n_missing = first - self._next
        since = self._waiting_since()
        for chunk in range(max(self._next, first - _MEMORY), first):
            self._given_up[chunk] = since
        self.missing += n_missing
        self.patience.given_up()
        self._next = first
        released = [self._make_gap(n_missing), *self._drain()]
        for chunk in [chunk for chunk in self._given_up if chunk < self._next - _MEMORY]:
            del self._given_up[chunk]
        return released

    def _drain(self) -> list[T]:
        """Take out what follows on without a gap."""
        released = []
        while self._next in self._held:
            item, came_at = self._held.pop(self._next)
            self._came_at = max(self._came_at, came_at)
            released.append(item)
            self._next += 1
        self.due = self._waiting_since() + self.patience.seconds if self._held else inf
        return released

    def _waiting_since(self) -> float:
        """Return since when the next chunk is waited for; something waits for it."""
        return max(self._came_at, min(came_at for _, came_at in self._held.values()))

    def _drop_or_restart(self, chunk: int, item: T, now: float) -> list[T]:
        if not self._was_given_up(chunk):
            self.duplicates += 1
            return []
        since = self._given_up.pop(chunk, None)
        if since is not None:
            self.patience.came(now - since)
        self._late_run = self._late_run + 1 if chunk == self._last_late + 1 else 1
        self._last_late = chunk
        if self._late_run > _RESTART_RUN:
            return self._resynchronise(chunk, item, now)
        self.late += 1
        return []

    def _was_given_up(self, chunk: int) -> bool:
        return chunk in self._given_up or chunk < max(self._first, self._next - _MEMORY)

    def _resynchronise(self, chunk: int, item: T, now: float) -> list[T]:
        self.resyncs += 1
        released = self.flush()
        self._restart(chunk, now)
        return [*released, item]

    def _restart(self, chunk: int, now: float) -> None:
        self._started = True
        self._first = chunk
        self._next = chunk + 1
        self._came_at = now
        self._given_up.clear()
        self._late_run = 0
