"""A window that puts the media messages of one track back into order.

Telnyx does not promise order; ``chunk`` numbers the media messages of a track. Theory of operation:

- What comes in order passes at once. A chunk that is ahead waits until the gap before it fills, or
  until ``max_packets`` wait; then the first gap is given up, counted as missing, and what follows
  it leaves. There is no clock here: a gap costs delay only in packets that did come.
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

from typing import Final, Generic, TypeVar

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

    Attributes:
        late: items dropped because their turn was over when they came.
        duplicates: items dropped because their chunk had been let through or was waiting.
        missing: chunks given up. One that comes afterwards counts as late, too.
        resyncs: times that the numbering jumped or started over.
    """

    def __init__(self, max_packets: int = 5) -> None:
        """Make an empty window.

        Args:
            max_packets: so many items ahead of a gap end the wait for it; 5 are 80 ms of added
                delay at most with packets of 20 ms.

        Raises:
            ValueError: ``max_packets`` is less than 1.
        """
        if max_packets < 1:
            raise ValueError(f"max_packets must be at least 1, not {max_packets}")
        self.late = 0
        self.duplicates = 0
        self.missing = 0
        self.resyncs = 0
        self._max_packets = max_packets
        self._held: dict[int, T] = {}
        self._given_up: set[int] = set()
        self._started = False
        self._first = 0
        self._next = 0
        self._last_late = 0
        self._late_run = 0

    def push(self, chunk: int | None, item: T) -> list[T]:
        """Take one item; return what may leave now, in order.

        Args:
            chunk: number of the item; without one it passes at once.
            item: what is to be ordered.
        """
        if chunk is None:
            return [item]
        if not self._started:
            self._restart(chunk)
            return [item]
        if chunk == self._next:
            self._next = chunk + 1
            self._late_run = 0
            return [item, *self._drain()] if self._held else [item]
        if abs(chunk - self._next) > _MAX_JUMP:
            return self._resynchronise(chunk, item)
        if chunk < self._next:
            return self._drop_or_restart(chunk, item)
        return self._hold(chunk, item)

    def flush(self) -> list[T]:
        """Return what waits, in order; the gaps before it are given up."""
        released: list[T] = []
        while self._held:
            released += self._give_up_first_gap()
        return released

    def _hold(self, chunk: int, item: T) -> list[T]:
        if chunk in self._held:
            self.duplicates += 1
            return []
        self._late_run = 0
        self._held[chunk] = item
        return self._give_up_first_gap() if len(self._held) >= self._max_packets else []

    def _give_up_first_gap(self) -> list[T]:
        first = min(self._held)
        self.missing += first - self._next
        self._given_up.update(range(self._next, first))
        self._next = first
        released = self._drain()
        self._given_up = {chunk for chunk in self._given_up if chunk >= self._next - _MEMORY}
        return released

    def _drain(self) -> list[T]:
        """Take out what follows on without a gap."""
        released = []
        while self._next in self._held:
            released.append(self._held.pop(self._next))
            self._next += 1
        return released

    def _drop_or_restart(self, chunk: int, item: T) -> list[T]:
        if not self._was_given_up(chunk):
            self.duplicates += 1
            return []
        self._given_up.discard(chunk)
        self._late_run = self._late_run + 1 if chunk == self._last_late + 1 else 1
        self._last_late = chunk
        if self._late_run > _RESTART_RUN:
            return self._resynchronise(chunk, item)
        self.late += 1
        return []

    def _was_given_up(self, chunk: int) -> bool:
        return chunk in self._given_up or chunk < max(self._first, self._next - _MEMORY)

    def _resynchronise(self, chunk: int, item: T) -> list[T]:
        self.resyncs += 1
        released = self.flush()
        self._restart(chunk)
        return [*released, item]

    def _restart(self, chunk: int) -> None:
        self._started = True
        self._first = chunk
        self._next = chunk + 1
        self._given_up.clear()
        self._late_run = 0
