"""The reorder window: order, loss, lateness, duplicates, and counters that go wrong."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telnyx_trio.protocol import ReorderWindow


def push_all(window: ReorderWindow[int], chunks: Iterable[int]) -> list[int]:
    """Push chunk numbers that are their own items; return what left."""
    return [item for chunk in chunks for item in window.push(chunk, chunk)]


def started(*, max_packets: int = 5) -> ReorderWindow[int]:
    """Make a window that has let chunk 1 through."""
    window = ReorderWindow[int](max_packets)
    assert window.push(1, 1) == [1]
    return window


def counts(window: ReorderWindow[int]) -> tuple[int, int, int, int]:
    return window.late, window.duplicates, window.missing, window.resyncs


@pytest.mark.parametrize("first", [0, 1, 2, 400, 10**12])
def test_in_order_passes_at_once(first: int) -> None:
    """What comes in order leaves by the push that brought it, whatever the first number is."""
    window = ReorderWindow[int]()
    for chunk in range(first, first + 1000):
        assert window.push(chunk, chunk) == [chunk]
    assert counts(window) == (0, 0, 0, 0)


def test_item_without_chunk_passes_at_once() -> None:
    """An item without a number is not held, also not behind a gap."""
    window = started()
    assert window.push(3, 3) == []
    assert window.push(None, 99) == [99]
    assert window.push(2, 2) == [2, 3]


def test_every_permutation_with_room() -> None:
    """With room for all, six packets leave complete and in order, in any order of arrival."""
    for order in permutations(range(2, 8)):
        window = started(max_packets=6)
        assert push_all(window, order) == [2, 3, 4, 5, 6, 7], order
        assert counts(window) == (0, 0, 0, 0), order


def test_every_permutation_with_little_room() -> None:
    """With little room, what leaves is in order, and each packet is delivered or counted late."""
    for order in permutations(range(2, 8)):
        window = started(max_packets=2)
        left = push_all(window, order) + window.flush()
        assert left == sorted(set(left)), order
        assert len(left) + window.late == 6, order
        assert counts(window) == (window.late, 0, window.late, 0), order


def test_every_permutation_at_the_start() -> None:
    """The first packet seen sets the start; the ones before it are late, the rest is in order."""
    for order in permutations(range(1, 7)):
        window = ReorderWindow[int](6)
        assert push_all(window, order) == list(range(order[0], 7)), order
        assert counts(window) == (order[0] - 1, 0, 0, 0), order


def test_gap_that_fills_adds_nothing_else() -> None:
    """The packet that fills a gap leaves together with what waited behind it."""
    window = started()
    assert window.push(3, 3) == []
    assert window.push(4, 4) == []
    assert window.push(2, 2) == [2, 3, 4]
    assert window.push(5, 5) == [5]


def test_lost_packet_is_given_up() -> None:
    """When max_packets wait, the gap counts as missing and they leave."""
    window = started()
    assert push_all(window, [3, 4, 5, 6]) == []
    assert window.push(7, 7) == [3, 4, 5, 6, 7]
    assert counts(window) == (0, 0, 1, 0)


def test_long_gap_is_counted_in_packets() -> None:
    """A gap of many packets is given up as a whole."""
    window = started()
    assert push_all(window, range(101, 106)) == [101, 102, 103, 104, 105]
    assert window.missing == 99


def test_only_the_first_gap_is_given_up() -> None:
    """What waits behind a second gap goes on waiting."""
    window = started()
    assert push_all(window, [3, 4, 6, 7, 8]) == [3, 4]
    assert window.missing == 1
    assert window.push(5, 5) == [5, 6, 7, 8]
    assert counts(window) == (0, 0, 1, 0)


def test_late_packet_is_dropped_and_counted() -> None:
    """A packet that was given up and comes after all is late."""
    window = started()
    push_all(window, range(3, 8))
    assert window.push(2, 2) == []
    assert counts(window) == (1, 0, 1, 0)


def test_late_packet_that_comes_twice_is_a_duplicate() -> None:
    """The second time, a late packet has been seen."""
    window = started()
    push_all(window, [*range(3, 8), 2, 2])
    assert counts(window) == (1, 1, 1, 0)


def test_delivered_packet_is_a_duplicate() -> None:
    """A packet that was delivered is dropped when it comes again."""
    window = started()
    push_all(window, [2, 3, 4])
    assert push_all(window, [4, 3, 2, 1]) == []
    assert counts(window) == (0, 4, 0, 0)


def test_held_packet_is_a_duplicate() -> None:
    """A packet that waits is dropped when it comes again, and leaves once."""
    window = started()
    assert push_all(window, [3, 3, 3, 2]) == [2, 3]
    assert counts(window) == (0, 2, 0, 0)


def test_every_packet_twice() -> None:
    """A stream that says everything twice comes through once."""
    window = ReorderWindow[int]()
    assert push_all(window, (n for n in range(1, 201) for _ in range(2))) == list(range(1, 201))
    assert counts(window) == (0, 200, 0, 0)


def test_short_run_repeated_is_all_duplicates() -> None:
    """A run that is repeated as a whole is not taken for a new numbering."""
    window = ReorderWindow[int]()
    assert push_all(window, [*range(1, 51), *range(1, 51)]) == list(range(1, 51))
    assert counts(window) == (0, 50, 0, 0)


def test_packet_of_long_ago_is_late() -> None:
    """A packet that was delivered more than 64 packets ago counts as late, not as duplicate."""
    window = ReorderWindow[int]()
    push_all(window, range(1, 101))
    assert window.push(37, 37) == []
    assert counts(window) == (0, 1, 0, 0)
    assert window.push(36, 36) == []
    assert counts(window) == (1, 1, 0, 0)


@pytest.mark.parametrize("far", [10**3, 2**31, 2**63 - 1, -1, -(2**70)])
def test_one_wrong_counter_costs_nothing(far: int) -> None:
    """One counter that is far off passes, and the stream goes on behind it."""
    window = ReorderWindow[int]()
    push_all(window, range(1, 601 if far < 0 else 11))
    following = range(601, 611) if far < 0 else range(11, 21)
    assert push_all(window, [far, *following]) == [far, *following]
    assert counts(window) == (0, 0, 0, 2)


@pytest.mark.parametrize("wrong", [11, 15, 60, 200, 510])
def test_one_near_wrong_counter_costs_one_packet(wrong: int) -> None:
    """One counter that is off by less disturbs order no more than one lost packet does."""
    window = ReorderWindow[int]()
    push_all(window, range(1, 10))
    stream = [10, *range(11, 1001)]
    left: list[int] = []
    for number in stream:
        chunk = wrong if number == 10 else number
        left += window.push(chunk, number)
    left += window.flush()
    assert [number for number in left if number != 10] == [
        number for number in range(11, 1001) if number != wrong
    ]


def test_jump_releases_what_waits() -> None:
    """What waits when the numbering jumps leaves before the packet that jumped."""
    window = started()
    assert push_all(window, [3, 4, 9000]) == [3, 4, 9000]
    assert counts(window) == (0, 0, 1, 1)


@pytest.mark.parametrize("modulus", [2**16, 2**32])
def test_wrap_loses_nothing(modulus: int) -> None:
    """A counter that wraps is a jump: nothing is lost."""
    window = ReorderWindow[int]()
    chunks = [n % modulus for n in range(modulus - 10, modulus + 10)]
    assert push_all(window, chunks) == chunks
    assert counts(window) == (0, 0, 0, 1)


@pytest.mark.parametrize(
    ("jump", "resyncs"), [(500, 0), (501, 1), (-500, 0), (-501, 1)], ids=lambda value: str(value)
)
def test_limit_of_a_jump(jump: int, resyncs: int) -> None:
    """Up to 500 either way is a gap or lateness, beyond that a new numbering."""
    window = ReorderWindow[int]()
    push_all(window, range(1, 1000))
    window.push(1000 + jump, 0)
    assert window.resyncs == resyncs


def test_numbering_that_starts_over_close_by() -> None:
    """A numbering that starts over after 300 packets silences half a second, not six."""
    window = ReorderWindow[int]()
    push_all(window, range(1, 301))
    assert push_all(window, range(1, 301)) == list(range(26, 301))
    assert counts(window) == (25, 0, 0, 1)


def test_scattered_late_packets_start_nothing_over() -> None:
    """Late packets without a run among them are dropped, however many there are."""
    window = ReorderWindow[int]()
    push_all(window, range(1, 401))
    assert push_all(window, range(1, 300, 2)) == []
    assert window.resyncs == 0
    assert window.push(401, 401) == [401]


def test_late_packets_among_packets_in_order_start_nothing_over() -> None:
    """A run of late packets is no new numbering while the old one goes on."""
    window = ReorderWindow[int]()
    push_all(window, range(1, 401))
    stream = [chunk for n in range(100) for chunk in (1 + n, 401 + n)]
    assert push_all(window, stream) == list(range(401, 501))
    assert window.resyncs == 0


def test_late_packets_among_packets_ahead_start_nothing_over() -> None:
    """The same holds while every other packet of the old numbering is lost."""
    window = ReorderWindow[int]()
    push_all(window, range(1, 401))
    stream = [chunk for n in range(100) for chunk in (1 + n, 402 + 2 * n)]
    assert push_all(window, stream) + window.flush() == list(range(402, 602, 2))
    assert window.resyncs == 0


def test_new_numbering_forgets_what_was_given_up() -> None:
    """A number given up before the numbering jumped is a number like another after it."""
    window = started()
    push_all(window, [*range(3, 8), 9000])
    assert push_all(window, [2, 2]) == [2]
    assert counts(window) == (0, 1, 1, 2)


def test_flush_releases_in_order() -> None:
    """A flush releases all that waits, in order, and counts the gaps."""
    window = started()
    push_all(window, [7, 3, 5])
    assert window.flush() == [3, 5, 7]
    assert counts(window) == (0, 0, 3, 0)
    assert window.flush() == []


def test_window_goes_on_after_flush() -> None:
    """After a flush the next packet in order passes at once."""
    window = started()
    push_all(window, [3])
    window.flush()
    assert push_all(window, [4, 5]) == [4, 5]


def test_flush_of_an_unused_window() -> None:
    """There is nothing in a new window."""
    assert ReorderWindow[int]().flush() == []


@pytest.mark.parametrize("max_packets", [0, -1])
def test_room_for_none_is_refused(max_packets: int) -> None:
    """A window that can hold nothing cannot order anything."""
    with pytest.raises(ValueError, match="max_packets"):
        ReorderWindow[int](max_packets)


@given(
    chunks=st.lists(
        st.none() | st.integers(0, 40) | st.integers(-(2**70), 2**70) | st.integers(0, 1200),
        max_size=80,
    ),
    max_packets=st.integers(1, 6),
)
def test_every_item_is_accounted_for(chunks: list[int | None], max_packets: int) -> None:
    """Whatever the numbers, each item leaves once or is counted as dropped; few ever wait."""
    window = ReorderWindow[int](max_packets)
    left: list[int] = []
    for index, chunk in enumerate(chunks):
        left += window.push(chunk, index)
        waiting = index + 1 - len(left) - window.late - window.duplicates
        assert 0 <= waiting < max_packets
    left += window.flush()
    assert len(left) == len(set(left))
    assert len(left) + window.late + window.duplicates == len(chunks)
    assert window.missing >= 0
