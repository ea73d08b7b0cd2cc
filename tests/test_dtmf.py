"""Key presses that are reported by media and by webhook come out once each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from telnyx_trio._dtmf import DtmfMerger, KeyPress

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


def test_media_press_is_delivered_at_once() -> None:
    """A press by media alone is delivered and leaves nothing to wait for."""
    merger = DtmfMerger()
    assert merger.media("1", at(0), 10.0)
    assert merger.next_deadline() is None
    assert merger.due(100.0) == []


def test_webhook_press_waits_for_its_twin() -> None:
    """A press by webhook alone is delivered once, when the hold is over."""
    merger = DtmfMerger(hold=0.5)
    merger.webhook("1", at(0), 10.0)
    assert merger.next_deadline() == 10.5
    assert merger.due(10.4) == []
    assert merger.due(10.5) == [KeyPress("1", at(0))]
    assert merger.next_deadline() is None
    assert merger.due(100.0) == []


def test_media_first() -> None:
    """The webhook twin of a delivered media press is dropped."""
    merger = DtmfMerger()
    assert merger.media("1", at(0), 10.0)
    merger.webhook("1", at(0.1), 11.0)
    assert merger.next_deadline() is None
    assert merger.due(100.0) == []


def test_webhook_first() -> None:
    """Media win: the press is delivered when it comes by media, and the webhook's is dropped."""
    merger = DtmfMerger()
    merger.webhook("1", at(0), 10.0)
    assert merger.media("1", at(0.1), 10.2)
    assert merger.next_deadline() is None
    assert merger.due(100.0) == []


def test_media_after_the_hold() -> None:
    """A media press whose webhook twin was delivered is not delivered again."""
    merger = DtmfMerger(hold=0.5)
    merger.webhook("1", at(0), 10.0)
    assert merger.due(10.5) == [KeyPress("1", at(0))]
    assert not merger.media("1", at(0.1), 11.0)
    assert merger.media("1", at(0.6), 11.5)


def test_media_twin_between_deadline_and_due() -> None:
    """A twin that comes after the deadline, before anybody asked what is due, still wins."""
    merger = DtmfMerger(hold=0.5)
    merger.webhook("1", at(0), 10.0)
    assert merger.media("1", at(0), 10.7)
    assert merger.due(10.7) == []


def test_other_digit_is_no_twin() -> None:
    """Presses of two keys are two presses."""
    merger = DtmfMerger()
    assert merger.media("1", at(0), 10.0)
    merger.webhook("2", at(0), 10.0)
    assert merger.due(10.5) == [KeyPress("2", at(0))]


def test_presses_two_seconds_apart_are_two() -> None:
    """From two seconds on the same digit was pressed twice, however close the reports come."""
    merger = DtmfMerger()
    assert merger.media("1", at(0), 10.0)
    merger.webhook("1", at(2), 10.0)
    assert merger.due(10.5) == [KeyPress("1", at(2))]


def test_late_webhook_is_a_twin_by_its_time() -> None:
    """A webhook that comes a minute late is a twin all the same when its time is known."""
    merger = DtmfMerger()
    assert merger.media("1", at(0), 10.0)
    merger.webhook("1", at(1.9), 70.0)
    assert merger.due(100.0) == []


def test_unknown_time_goes_by_arrival() -> None:
    """When one of the two does not know its time, arrival within three seconds makes a twin."""
    merger = DtmfMerger()
    assert merger.media("1", None, 10.0)
    merger.webhook("1", at(0), 12.9)
    assert merger.due(100.0) == []


def test_unknown_time_and_late_arrival_are_two_presses() -> None:
    """When one does not know its time, from three seconds on they are two presses."""
    merger = DtmfMerger()
    assert merger.media("1", at(0), 10.0)
    merger.webhook("1", None, 13.0)
    assert merger.due(13.5) == [KeyPress("1", None)]


def test_report_is_matched_once() -> None:
    """One media press is the twin of one webhook press, the second one is a press of its own."""
    merger = DtmfMerger()
    assert merger.media("1", at(0), 10.0)
    merger.webhook("1", at(0), 10.1)
    merger.webhook("1", at(0.3), 10.2)
    assert len(merger.due(11.0)) == 1


def test_double_press_in_every_order() -> None:
    """One key pressed twice quickly, by both routes, is two presses in any order of arrival."""
    reports = [("media", 0.0), ("media", 0.2), ("webhook", 0.0), ("webhook", 0.2)]
    for order in permutations(reports):
        merger = DtmfMerger()
        delivered = 0
        for n, (route, pressed) in enumerate(order):
            now = 10 + n / 10
            if route == "media":
                delivered += merger.media("1", at(pressed), now)
            else:
                merger.webhook("1", at(pressed), now)
            delivered += len(merger.due(now))
        delivered += len(merger.due(20.0))
        assert delivered == 2, order


def test_older_reports_are_paired_anew() -> None:
    """A pairing that seemed good is given up when otherwise a report would stay alone."""
    merger = DtmfMerger()
    assert merger.media("1", at(0), 10.0)
    assert merger.media("1", at(1.5), 11.5)
    merger.webhook("1", at(1.2), 12.0)  # nearest to the second press, in truth of the first
    merger.webhook("1", at(2.7), 13.0)  # too far from the first
    assert merger.due(100.0) == []


def test_due_is_in_order_of_arrival() -> None:
    """Webhook presses leave in the order in which they came, each at its time."""
    merger = DtmfMerger(hold=0.5)
    for n, digit in enumerate("4711"):
        merger.webhook(digit, None, 10 + n / 10)
    assert merger.next_deadline() == 10.5
    assert [press.digit for press in merger.due(10.6)] == ["4", "7"]
    assert [press.digit for press in merger.due(20.0)] == ["1", "1"]


def test_closed_media_hold_nothing() -> None:
    """Without media a webhook press is due at once."""
    merger = DtmfMerger(media_open=False)
    merger.webhook("1", at(0), 10.0)
    assert merger.next_deadline() == 10.0
    assert merger.due(10.0) == [KeyPress("1", at(0))]


def test_media_that_close_release_what_waits() -> None:
    """When media end, a press that waits for its twin is due at once."""
    merger = DtmfMerger(hold=0.5)
    merger.webhook("1", at(0), 10.0)
    merger.media_open = False
    assert merger.due(10.1) == [KeyPress("1", at(0))]


def test_media_that_closed_still_match() -> None:
    """A webhook that comes after the end of media is the twin of what media delivered."""
    merger = DtmfMerger()
    assert merger.media("1", at(0), 10.0)
    merger.media_open = False
    merger.webhook("1", at(0), 10.3)
    assert merger.due(10.3) == []


def test_memory_is_bounded() -> None:
    """Of a flood only the last reports are remembered, and the rest costs no memory."""
    merger = DtmfMerger()
    for n in range(1000):
        merger.webhook("1", at(n * 10), 10.0)
    assert len(merger.due(20.0)) == 64


@dataclass(frozen=True)
class Press:
    digit: str
    pressed: float
    media_at: float
    webhook_at: float


presses = st.lists(
    st.builds(
        Press,
        digit=st.sampled_from("12"),
        pressed=st.floats(0, 6),
        media_at=st.floats(0, 0.4),
        webhook_at=st.floats(0, 0.4),
    ),
    max_size=12,
)


def run(
    merger: DtmfMerger,
    presses: list[Press],
    *,
    skew: float = 0.0,
    media_knows: bool = True,
    webhook_knows: bool = True,
) -> Counter[str]:
    """Report each press by both routes, each after its delay; count what is delivered."""
    reports = [(p.pressed + p.media_at, "media", p) for p in presses]
    reports += [(p.pressed + p.webhook_at, "webhook", p) for p in presses]
    delivered: Counter[str] = Counter()
    for now, route, press in sorted(reports, key=lambda report: report[0]):
        delivered.update(due.digit for due in merger.due(now))
        if route == "webhook":
            merger.webhook(press.digit, at(press.pressed + skew) if webhook_knows else None, now)
        elif merger.media(press.digit, at(press.pressed) if media_knows else None, now):
            delivered[press.digit] += 1
    delivered.update(due.digit for due in merger.due(1000.0))
    return delivered


@settings(deadline=None)
@given(presses=presses, skew=st.floats(-1.9, 1.9), hold=st.sampled_from([0.0, 0.1, 0.5]))
def test_any_interleaving_gives_each_press_once(
    presses: list[Press], skew: float, hold: float
) -> None:
    """Both routes, any delays, clocks apart by up to two seconds: each press comes out once."""
    delivered = run(DtmfMerger(hold=hold), presses, skew=skew)
    assert delivered == Counter(press.digit for press in presses)


@settings(deadline=None)
@given(presses=presses, media_knows=st.booleans(), webhook_knows=st.booleans())
def test_any_interleaving_without_times(
    presses: list[Press], media_knows: bool, webhook_knows: bool
) -> None:
    """The same holds by arrival, when one route or both do not know the time of the press."""
    delivered = run(DtmfMerger(), presses, media_knows=media_knows, webhook_knows=webhook_knows)
    assert delivered == Counter(press.digit for press in presses)


@settings(deadline=None)
@given(presses=presses)
def test_webhooks_alone_give_each_press_once(presses: list[Press]) -> None:
    """When media report nothing, each webhook press comes out once, none before its time."""
    merger = DtmfMerger(hold=0.5)
    for press in sorted(presses, key=lambda press: press.pressed):
        merger.webhook(press.digit, at(press.pressed), press.pressed)
    delivered: list[KeyPress] = []
    while (deadline := merger.next_deadline()) is not None:
        due = merger.due(deadline)
        assert due
        delivered += due
    assert Counter(press.digit for press in delivered) == Counter(p.digit for p in presses)
