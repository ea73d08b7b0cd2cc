"""The reorder window: order, loss, lateness, duplicates, patience, and counters that go wrong."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import permutations
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telnyx_trio.protocol import ReorderWindow

PTIME = 0.02


@dataclass(frozen=True)
class Gap:
    """Stands for so many chunks that never came."""

    n_packets: int


class Line:
    """A window to which one packet comes every 20 ms.

    Args:
        every: seconds between packets; at 0 they come all at once, and nothing is given up.
        patience: seconds that the window waits, until it learns better.
    """

    def __init__(self, *, every: float = PTIME, patience: float = 0.1) -> None:
        self.window = ReorderWindow[int | Gap](Gap)
        self.window.patience.seconds = patience
        self.every = every
        self.now = 0.0

    def push(self, chunk: int | None, item: int | None = None) -> list[int | Gap]:
        """Have the next packet come; what is due before it leaves first."""
        released = self.window.expire(self.now)
        released += self.window.push(chunk, (chunk or 0) if item is None else item, self.now)
        self.now += self.every
        return released

    def push_all(self, chunks: Iterable[int]) -> list[int | Gap]:
        """Push chunk numbers that are their own items; return what left."""
        return [item for chunk in chunks for item in self.push(chunk)]

    def wait(self, seconds: float) -> list[int | Gap]:
        """Let nothing come for a while."""
        self.now += seconds
        return self.window.expire(self.now)

    @property
    def counts(self) -> tuple[int, int, int, int]:
        window = self.window
        return window.late, window.duplicates, window.missing, window.resyncs


def started(*, every: float = PTIME, patience: float = 0.1) -> Line:
    """A line on which chunk 1 has come."""
    line = Line(every=every, patience=patience)
    assert line.push(1) == [1]
    return line


def packets(released: Iterable[int | Gap]) -> list[int]:
    """Leave out what stands for gaps."""
    return [item for item in released if isinstance(item, int)]


def as_timeline(released: Iterable[int | Gap], first: int) -> list[int | None]:
    """Return what is at each place from ``first`` on, None where a chunk is missing."""
    places: list[int | None] = []
    for item in released:
        places += [None] * item.n_packets if isinstance(item, Gap) else [item]
    assert all(item in (None, first + place) for place, item in enumerate(places))
    return places


# Order.


@pytest.mark.parametrize("first", [0, 1, 2, 400, 10**12])
def test_in_order_passes_at_once(first: int) -> None:
    """What comes in order leaves by the push that brought it, whatever the first number is."""
    line = Line()
    for chunk in range(first, first + 1000):
        assert line.push(chunk) == [chunk]
        assert line.window.due == inf
    assert line.counts == (0, 0, 0, 0)


def test_item_without_chunk_passes_at_once() -> None:
    """An item without a number is not held, also not behind a gap."""
    line = started()
    assert line.push(3) == []
    assert line.push(None, 99) == [99]
    assert line.push(2) == [2, 3]


def test_every_permutation_with_time() -> None:
    """With patience for all, six packets leave complete and in order, in any order of arrival."""
    for order in permutations(range(2, 8)):
        line = started(patience=0.2)
        assert line.push_all(order) == [2, 3, 4, 5, 6, 7], order
        assert line.counts == (0, 0, 0, 0), order


def test_every_permutation_with_little_time() -> None:
    """With little patience, what leaves is in order, and each is delivered or counted late."""
    for order in permutations(range(2, 8)):
        line = started(patience=0.03)
        left = packets(line.push_all(order) + line.window.flush())
        assert left == sorted(set(left)), order
        assert len(left) + line.window.late == 6, order
        assert line.counts == (line.window.late, 0, line.window.late, 0), order


def test_every_permutation_at_the_start() -> None:
    """The first packet seen sets the start; the ones before it are late, the rest is in order."""
    for order in permutations(range(1, 7)):
        line = Line(patience=0.2)
        assert line.push_all(order) == list(range(order[0], 7)), order
        assert line.counts == (order[0] - 1, 0, 0, 0), order


def test_gap_that_fills_adds_nothing_else() -> None:
    """The packet that fills a gap leaves together with what waited behind it."""
    line = started()
    assert line.push_all([3, 4]) == []
    assert line.window.held == 2
    assert line.push(2) == [2, 3, 4]
    assert line.window.due == inf
    assert line.push(5) == [5]


# Giving up.


def test_lost_packet_is_given_up_in_time() -> None:
    """When the wait is over, and nothing need come for that, the others leave behind a gap."""
    line = started()
    assert line.push_all([3, 4, 5, 6, 7]) == []
    assert line.window.due == pytest.approx(PTIME + 0.1)
    assert line.wait(-0.001) == []
    assert line.wait(0.001) == [Gap(1), 3, 4, 5, 6, 7]
    assert line.counts == (0, 0, 1, 0)
    assert line.window.due == inf


def test_packets_at_once_are_put_in_order() -> None:
    """However many come in a burst, as after a stall: it is the time that counts."""
    line = started(every=0.0)
    assert line.push_all(range(3, 203)) == []
    assert line.push(2) == list(range(2, 203))


def test_long_gap_is_counted_in_packets() -> None:
    """A gap of many packets is given up as a whole."""
    line = started()
    line.push_all(range(101, 106))
    assert line.wait(0) == [Gap(99), 101, 102, 103, 104, 105]
    assert line.window.missing == 99


def test_second_gap_has_a_wait_of_its_own() -> None:
    """It began when the first packet behind it came."""
    line = started(patience=0.08)
    line.push_all([3, 4, 6, 7])
    assert line.now == pytest.approx(0.1)
    assert line.wait(0) == [Gap(1), 3, 4]
    assert line.push(5) == [5, 6, 7]


def test_every_other_packet_lost() -> None:
    """The wait does not grow from gap to gap."""
    line = Line()
    left: list[int | Gap] = []
    for chunk in range(1, 200, 2):
        left += line.push(chunk)
        line.now += PTIME
        assert line.window.held <= 3
    left += line.window.flush()
    assert as_timeline(left, 1) == [n if n % 2 else None for n in range(1, 200)]


def test_late_packet_is_dropped_and_counted() -> None:
    """A packet that was given up and comes after all is late, and once more a duplicate."""
    line = started()
    line.push_all(range(3, 9))
    assert line.push(2) == []
    assert line.counts == (1, 0, 1, 0)
    assert line.push(2) == []
    assert line.counts == (1, 1, 1, 0)


def test_wait_begins_anew_with_progress() -> None:
    """One number that is far ahead by mistake does not end the wait for the next packets."""
    line = started()
    assert line.push(200) == []
    assert line.push_all(range(2, 40)) == list(range(2, 40))
    assert line.push_all([41, 40]) == [40, 41]


# Patience.


def test_patience_follows_what_comes() -> None:
    """Packets that come late by 60 ms are waited for a little longer than that, not for 100."""
    line = started()
    for chunk in range(2, 800, 4):
        assert line.push_all([chunk + 1, chunk + 2, chunk + 3]) == []
        assert line.push(chunk) == [chunk, chunk + 1, chunk + 2, chunk + 3]
    assert line.window.patience.seconds == pytest.approx(0.09, abs=0.005)
    assert line.counts == (0, 0, 0, 0)


def test_patience_rises_at_once() -> None:
    """What was given up too early once is waited for the next time."""
    line = started(patience=0.05)
    left = line.push_all([3, 4, 5, 6, 7, 2])
    assert left == [Gap(1), 3, 4, 5, 6, 7]
    assert line.push_all([9, 10, 11, 12, 13, 8]) == [8, 9, 10, 11, 12, 13]


def test_patience_is_bounded() -> None:
    """However late packets come, and however many are lost."""
    line = Line()
    for chunk in range(1, 200, 2):
        line.push(chunk)
        line.now += PTIME
    assert line.window.patience.seconds == pytest.approx(0.04)
    for chunk in range(1001, 3000, 12):
        line.push_all([*range(chunk, chunk + 11), chunk - 1])
    assert line.window.patience.seconds <= 0.2
    before = line.window.patience.seconds
    line.push_all([5001, 5003])
    line.wait(1.0)
    line.push(5002)  # a second late: not worth to wait for
    assert line.window.patience.seconds <= before


# Duplicates.


def test_delivered_packet_is_a_duplicate() -> None:
    """A packet that was delivered is dropped when it comes again."""
    line = started()
    line.push_all([2, 3, 4])
    assert line.push_all([4, 3, 2, 1]) == []
    assert line.counts == (0, 4, 0, 0)


def test_held_packet_is_a_duplicate() -> None:
    """A packet that waits is dropped when it comes again, and leaves once."""
    line = started()
    assert line.push_all([3, 3, 3, 2]) == [2, 3]
    assert line.counts == (0, 2, 0, 0)


def test_every_packet_twice() -> None:
    """A stream that says everything twice comes through once."""
    line = Line()
    assert line.push_all(n for n in range(1, 201) for _ in range(2)) == list(range(1, 201))
    assert line.counts == (0, 200, 0, 0)


def test_short_run_repeated_is_all_duplicates() -> None:
    """A run that is repeated as a whole is not taken for a new numbering."""
    line = Line()
    assert line.push_all([*range(1, 51), *range(1, 51)]) == list(range(1, 51))
    assert line.counts == (0, 50, 0, 0)


def test_packet_of_long_ago_is_late() -> None:
    """A packet that was delivered more than 64 packets ago counts as late, not as duplicate."""
    line = Line()
    line.push_all(range(1, 101))
    assert line.push(37) == []
    assert line.counts == (0, 1, 0, 0)
    assert line.push(36) == []
    assert line.counts == (1, 1, 0, 0)


# Counters that go wrong.


@pytest.mark.parametrize("far", [10**3, 2**31, 2**63 - 1, -1, -(2**70)])
def test_one_wrong_counter_costs_nothing(far: int) -> None:
    """One counter that is far off passes, and the stream goes on behind it."""
    line = Line()
    line.push_all(range(1, 601 if far < 0 else 11))
    following = range(601, 611) if far < 0 else range(11, 21)
    assert line.push_all([far, *following]) == [far, *following]
    assert line.counts == (0, 0, 0, 2)


@pytest.mark.parametrize("wrong", [11, 15, 60, 200, 510])
def test_one_near_wrong_counter_costs_one_packet(wrong: int) -> None:
    """One counter that is off by less disturbs order no more than one lost packet does."""
    line = Line()
    line.push_all(range(1, 10))
    left: list[int | Gap] = []
    for number in range(10, 1001):
        left += line.push(wrong if number == 10 else number, number)
    left += line.window.flush()
    assert [number for number in packets(left) if number != 10] == [
        number for number in range(11, 1001) if number != wrong
    ]


def test_jump_releases_what_waits() -> None:
    """What waits when the numbering jumps leaves before the packet that jumped."""
    line = started()
    assert line.push_all([3, 4, 9000]) == [Gap(1), 3, 4, 9000]
    assert line.counts == (0, 0, 1, 1)


@pytest.mark.parametrize("modulus", [2**16, 2**32])
def test_wrap_loses_nothing(modulus: int) -> None:
    """A counter that wraps is a jump: nothing is lost."""
    line = Line()
    chunks = [n % modulus for n in range(modulus - 10, modulus + 10)]
    assert line.push_all(chunks) == chunks
    assert line.counts == (0, 0, 0, 1)


@pytest.mark.parametrize(
    ("jump", "resyncs"), [(500, 0), (501, 1), (-500, 0), (-501, 1)], ids=lambda value: str(value)
)
def test_limit_of_a_jump(jump: int, resyncs: int) -> None:
    """Up to 500 either way is a gap or lateness, beyond that a new numbering."""
    line = Line()
    line.push_all(range(1, 1000))
    line.push(1000 + jump)
    assert line.window.resyncs == resyncs


def test_numbering_that_starts_over_close_by() -> None:
    """A numbering that starts over after 300 packets silences half a second, not six."""
    line = Line()
    line.push_all(range(1, 301))
    assert line.push_all(range(1, 301)) == list(range(26, 301))
    assert line.counts == (25, 0, 0, 1)


def test_scattered_late_packets_start_nothing_over() -> None:
    """Late packets without a run among them are dropped, however many there are."""
    line = Line()
    line.push_all(range(1, 401))
    assert line.push_all(range(1, 300, 2)) == []
    assert line.window.resyncs == 0
    assert line.push(401) == [401]


def test_late_packets_among_packets_in_order_start_nothing_over() -> None:
    """A run of late packets is no new numbering while the old one goes on."""
    line = Line()
    line.push_all(range(1, 401))
    stream = [chunk for n in range(100) for chunk in (1 + n, 401 + n)]
    assert line.push_all(stream) == list(range(401, 501))
    assert line.window.resyncs == 0


def test_late_packets_among_packets_ahead_start_nothing_over() -> None:
    """The same holds while every other packet of the old numbering is lost."""
    line = Line()
    line.push_all(range(1, 401))
    stream = [chunk for n in range(100) for chunk in (1 + n, 402 + 2 * n)]
    left = line.push_all(stream) + line.window.flush()
    assert packets(left) == list(range(402, 602, 2))
    assert line.window.resyncs == 0


def test_new_numbering_forgets_what_was_given_up() -> None:
    """A number given up before the numbering jumped is a number like another after it."""
    line = started()
    line.push_all([*range(3, 9), 9000])
    assert line.push_all([2, 2]) == [2]
    assert line.counts == (0, 1, 1, 2)


# Flushing.


def test_flush_releases_in_order() -> None:
    """A flush releases all that waits, in order, and counts the gaps; then it goes on."""
    line = started(every=0.0)
    line.push_all([7, 3, 5])
    assert line.window.flush() == [Gap(1), 3, Gap(1), 5, Gap(1), 7]
    assert line.counts == (0, 0, 3, 0)
    assert line.window.flush() == []
    assert line.push_all([8, 9]) == [8, 9]


def test_flush_of_an_unused_window() -> None:
    """There is nothing in a new window."""
    assert ReorderWindow[int | Gap](Gap).flush() == []


# Anything at all.


@given(
    chunks=st.lists(
        st.none() | st.integers(0, 40) | st.integers(-(2**70), 2**70) | st.integers(0, 1200),
        max_size=80,
    ),
    every=st.sampled_from([0.0, PTIME, 0.3]),
)
def test_every_item_is_accounted_for(chunks: list[int | None], every: float) -> None:
    """Whatever the numbers, each item leaves once or is counted as dropped."""
    line = Line(every=every)
    left: list[int | Gap] = []
    for index, chunk in enumerate(chunks):
        left += line.push(chunk, index)
        window = line.window
        assert (window.due == inf) == (window.held == 0)
        waiting = index + 1 - len(packets(left)) - window.late - window.duplicates
        assert waiting == window.held
    left += line.window.flush()
    got = packets(left)
    assert len(got) == len(set(got))
    assert len(got) + line.window.late + line.window.duplicates == len(chunks)
    assert sum(item.n_packets for item in left if isinstance(item, Gap)) == line.window.missing


@pytest.mark.parametrize("seed", range(20))
def test_delay_loss_and_repetition(seed: int) -> None:
    """What leaves is the timeline, each place once: the packet, or a gap where it was lost or late.

    Packets are under way for up to 90 ms, some are lost and some come twice.
    """
    random_ = random.Random(seed)
    loss = random_.choice([0.0, 0.01, 0.1])
    arrivals = sorted(
        (chunk * PTIME + random_.choice([0.0, 0.0, 0.0, random_.uniform(0, 0.09)]), chunk)
        for chunk in range(1, 401)
        for _ in range(random_.choices([0, 1, 2], [loss, 0.95 - loss, 0.05])[0])
    )
    came_at = {chunk: now for now, chunk in reversed(arrivals)}
    window = ReorderWindow[int | Gap](Gap)
    left: list[int | Gap] = []
    longest_wait = 0.0
    for now, chunk in [*arrivals, (inf, None)]:
        released = []
        while (due := window.due) <= now and due < inf:
            released += [(item, due) for item in window.expire(due)]
        if chunk is not None:
            released += [(item, now) for item in window.push(chunk, chunk, now)]
        left += [item for item, _ in released]
        waits = [at - came_at[item] for item, at in released if isinstance(item, int)]
        longest_wait = max([longest_wait, *waits])
    assert longest_wait <= 0.2
    first = arrivals[0][1]
    places = as_timeline(left, first)
    assert len(places) == max(came_at) + 1 - first
    missed = {first + place for place, item in enumerate(places) if item is None}
    assert missed >= set(range(first, max(came_at))) - came_at.keys()
    assert window.missing == len(missed)
    assert len(packets(left)) + window.late + window.duplicates == len(arrivals)
