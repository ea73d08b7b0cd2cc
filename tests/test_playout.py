"""The playback clock: pure, times passed in."""

from __future__ import annotations

from itertools import pairwise

import pytest

from telnyx_trio._playout import MAX_MARKS, MarkFate, Playout, Spans

PTIME = 0.02


def send_all(playout: Playout, n_packets: int, now: float = 0.0) -> list[float]:
    """Send packets as early as the clock allows; return when each left."""
    times = []
    for _ in range(n_packets):
        now += playout.delay(now, PTIME)
        playout.sent(now, PTIME)
        times.append(now)
    return times


def test_lead_leaves_at_once_then_real_time() -> None:
    """0.4 s of packets at once, then one every 20 ms."""
    times = send_all(Playout(0.4), 30)
    assert times[:20] == [0.0] * 20
    assert times[20:] == pytest.approx([PTIME * (n + 1) for n in range(10)])


@pytest.mark.parametrize("lead", [0.0, 0.01, 0.02])
def test_least_lead_is_just_in_time(lead: float) -> None:
    """With a lead of a packet or less, packets follow each other without a gap."""
    times = send_all(Playout(lead), 50)
    assert times[-1] == pytest.approx(49 * PTIME, abs=PTIME)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert max(gaps) == pytest.approx(PTIME)


def test_late_wake_up_is_caught_up() -> None:
    """After a stall the packets that are due leave at once, and the clock has not shifted."""
    playout = Playout(0.4)
    send_all(playout, 20)
    times = send_all(playout, 20, now=0.3)
    assert times[:15] == [0.3] * 15
    assert times[15:] == pytest.approx([0.32, 0.34, 0.36, 0.38, 0.40])


def test_stall_longer_than_the_lead_starts_afresh() -> None:
    """What Telnyx could not play is not made up for: the lead counts from now."""
    playout = Playout(0.4)
    send_all(playout, 20)
    assert send_all(playout, 21, now=5.0) == pytest.approx([5.0] * 20 + [5.02])


def test_no_drift_over_five_minutes() -> None:
    """15,000 packets end where the absolute clock says."""
    assert send_all(Playout(0.4), 15_000)[-1] == pytest.approx(15_000 * PTIME - 0.4, abs=1e-3)


def test_ahead_counts_down() -> None:
    """What is left to play shrinks with time, never below nothing."""
    playout = Playout(0.4)
    playout.sent(10.0, 0.1)
    assert [playout.ahead(t) for t in (10.0, 10.06, 11.0)] == pytest.approx([0.1, 0.04, 0.0])


def test_clear_frees_the_lead() -> None:
    """After a clear nothing is left to play, so that packets leave at once again."""
    playout = Playout(0.4)
    send_all(playout, 20)
    playout.clear(0.1)
    assert playout.ahead(0.1) == 0
    assert send_all(playout, 20, now=0.1) == [0.1] * 20


def test_marks_tell_played_from_cleared() -> None:
    """Marks under way at a clear come back as cleared, those sent after it as played."""
    playout = Playout()
    playout.mark_sent("played", 0.0)
    assert playout.mark_returned("played", 0.0) is MarkFate.PLAYED
    playout.mark_sent("a", 0.0)
    playout.mark_sent("b", 0.0)
    playout.clear(0.0)
    playout.mark_sent("after", 0.0)
    assert [playout.mark_returned(name, 0.0) for name in ("a", "b", "after")] == [
        MarkFate.CLEARED,
        MarkFate.CLEARED,
        MarkFate.PLAYED,
    ]


def test_equal_names_come_back_in_order() -> None:
    """Of two marks of one name the first is the one sent first."""
    playout = Playout()
    playout.mark_sent("turn", 0.0)
    playout.clear(0.0)
    playout.mark_sent("turn", 0.0)
    fates = [playout.mark_returned("turn", 0.0) for _ in range(2)]
    assert fates == [MarkFate.CLEARED, MarkFate.PLAYED]


def test_unknown_mark_has_no_fate() -> None:
    """A name that was never sent."""
    assert Playout().mark_returned("who", 0.0) is None


def test_marks_are_bounded() -> None:
    """Marks that never come back are forgotten, the oldest first."""
    playout = Playout()
    for n in range(MAX_MARKS + 1):
        playout.mark_sent(str(n), 0.0)
    playout.clear(0.0)
    assert playout.mark_returned("0", 0.0) is None
    assert playout.mark_returned("1", 0.0) is MarkFate.CLEARED


@pytest.mark.parametrize("lead", [-0.1, float("nan")])
def test_impossible_lead_is_refused(lead: float) -> None:
    """Less than nothing, or no number."""
    with pytest.raises(ValueError, match="lead"):
        Playout(lead)


def test_a_late_first_packet_puts_nothing_further_ahead() -> None:
    """What is ahead counts from when the packet was written, not from when it was to be sent."""
    playout = Playout(lead=0.4)
    playout.sent(10.0, 0.02)
    playout.written(10.7, 0.02)
    assert playout.ahead(10.7) == pytest.approx(0.02)
    for _ in range(19):
        assert playout.delay(10.7, 0.02) == 0
        playout.sent(10.7, 0.02)
        playout.written(10.7, 0.02)
    assert playout.ahead(10.7) == pytest.approx(0.4)
    assert playout.delay(10.7, 0.02) > 0


def test_three_late_marks_are_lateness() -> None:
    """What the least late of the last three was late, compared to the quickest ever."""
    playout = Playout()
    for n, delay in enumerate([0.03, 0.05, 0.63, 0.66, 0.64, 0.08]):
        playout.mark_sent(str(n), float(n))
        playout.mark_returned(str(n), n + delay)
        expected = {4: 0.6, 5: 0.05}.get(n, 0.0) if n != 3 else 0.02
        assert playout.lateness == pytest.approx(expected)


def test_fewer_than_three_late_marks_are_none() -> None:
    """Nor are those from before a clear, or before Telnyx ran dry."""
    for forget in ("clear", "run dry"):
        playout = Playout()
        for n, delay in enumerate([0.0, 0.0, 0.0, 0.5, 0.5, 0.5]):
            playout.mark_sent(str(n), float(n))
            playout.mark_returned(str(n), n + delay)
        assert playout.lateness == pytest.approx(0.5)
        if forget == "clear":
            playout.clear(6.0)
        else:
            playout.sent(6.0, PTIME)
        assert playout.lateness == 0
        for n in (6, 7):
            playout.mark_sent(str(n), float(n))
            playout.mark_returned(str(n), n + 0.5)
            assert playout.lateness == 0


def test_cleared_and_recalled_marks_tell_nothing_of_lateness() -> None:
    """They come back early."""
    playout = Playout()
    for end in ("clear", "recall"):
        playout.sent(0.0, 5.0)
        playout.mark_sent(end, 0.0)
        getattr(playout, end)(1.0)
        fate = {"clear": MarkFate.CLEARED, "recall": MarkFate.RECALLED}[end]
        assert playout.mark_returned(end, 1.0) is fate
    for n in range(3):
        playout.mark_sent(str(n), 10.0)
        playout.mark_returned(str(n), 10.5)
    assert playout.lateness == 0


def test_spans_leave_gaps_out() -> None:
    """However many: those of long ago are folded into one number."""
    spans = Spans()
    gaps = [spans.add(float(n), PTIME) for n in range(30)]
    assert gaps == [False] + [True] * 29
    assert [spans.start, spans.total] == pytest.approx([0.0, 30 * PTIME])
    for n in range(22, 30):
        assert spans.played(n + 0.01) == pytest.approx(n * PTIME + 0.01)
        assert spans.played(n + 0.5) == pytest.approx((n + 1) * PTIME)


def test_packet_that_got_off_late_is_moved() -> None:
    """The first one, one in the middle of a span, and one alone behind a gap."""
    spans = Spans()
    spans.add(1.0, PTIME)
    assert spans.move_last(2.0, PTIME) is False
    assert spans.start == 2.0
    spans.add(spans.stop, PTIME)
    assert spans.move_last(3.0, PTIME) is True
    assert [spans.start, spans.stop] == pytest.approx([2.0, 3.02])
    assert spans.played(2.9) == pytest.approx(PTIME)
    spans.add(4.0, PTIME)
    assert spans.move_last(5.0, PTIME) is False  # the gap was there before
    assert spans.played(4.9) == pytest.approx(2 * PTIME)
    assert spans.total == pytest.approx(3 * PTIME)
    assert spans.played(6.0) == pytest.approx(3 * PTIME)
