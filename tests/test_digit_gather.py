"""Which keys belong together, and in which order: no event loop."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import inf, nan
from random import Random
from typing import Any

import pytest

from telnyx_trio import DigitsEnd, DtmfReceived, GatheredDigits, LocalProtocolError
from telnyx_trio._digit_gather import DigitGather, DigitRules
from telnyx_trio._dtmf_order import DtmfOrder

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def press(digit: str, seconds: float | None) -> DtmfReceived:
    at = None if seconds is None else EPOCH + timedelta(seconds=seconds)
    return DtmfReceived(digit, at)


def digits(events: Any) -> str:
    return "".join(event.digit for event in events)


def test_later_press_that_comes_first_waits() -> None:
    """They come out in the order in which they were pressed, when the first one's wait is over."""
    order = DtmfOrder(hold=0.1)
    order.push(press("2", 5.2), 10.0)
    order.push(press("1", 5.0), 10.05)
    assert order.next_deadline() == pytest.approx(10.1)
    assert digits(order.due(10.09)) == ""
    assert digits(order.due(10.1)) == "12"
    assert order.next_deadline() is None


def test_earlier_press_does_not_wait_for_a_later_one() -> None:
    """Each waits for itself only."""
    order = DtmfOrder(hold=0.1)
    order.push(press("1", 5.0), 10.0)
    order.push(press("2", 5.2), 10.06)
    assert digits(order.due(10.1)) == "1"
    assert digits(order.due(10.16)) == "2"


def test_press_without_a_time_keeps_its_place() -> None:
    """Between the one that came before it and the one that came after it."""
    order = DtmfOrder(hold=0.1)
    order.push(press("1", 5.0), 10.0)
    order.push(press("2", None), 10.01)
    order.push(press("3", 4.0), 10.02)
    assert digits(order.flush()) == "123"
    assert digits(order.flush()) == ""


def test_any_order_within_the_hold_is_mended() -> None:
    """Whatever overtakes what, by less than the hold; nothing is lost or doubled."""
    rng = Random(3)
    for _ in range(300):
        presses = [(0.12 * n, rng.choice("0123456789*#")) for n in range(rng.randint(1, 12))]
        arrivals = [(at + rng.uniform(0, 0.099), at, digit) for at, digit in presses]
        order, out = DtmfOrder(hold=0.1), ""
        for now, at, digit in sorted(arrivals):
            out += digits(order.due(now))
            order.push(press(digit, at), now)
        out += digits(order.due(inf))
        assert out == "".join(digit for _, digit in presses)


def rules(**changes: Any) -> DigitRules:
    given = {"count": 4, "terminator": "#", "first_timeout": 5.0, "digit_timeout": 2.0, **changes}
    return DigitRules(**given)


def test_count() -> None:
    """As many as were asked for."""
    gather = DigitGather(rules())
    for n, digit in enumerate("1234"):
        assert gather.ended_by is None
        gather.press(digit, float(n))
    assert gather.result() == GatheredDigits("1234", DigitsEnd.COUNT)


def test_terminator() -> None:
    """It is not among the digits; several keys can be one, and it may come first."""
    gather = DigitGather(rules(terminator="#*"))
    for digit in "12*":
        gather.press(digit, 0.0)
    assert gather.result() == GatheredDigits("12", DigitsEnd.TERMINATOR)
    gather = DigitGather(rules())
    gather.press("#", 0.0)
    assert gather.result() == GatheredDigits("", DigitsEnd.TERMINATOR)


def test_timeouts() -> None:
    """The first key has its own, which begins with the end of the prompt."""
    gather = DigitGather(rules())
    gather.expire(1000.0)
    assert gather.ended_by is None
    gather.begin(10.0)
    assert gather.deadline == 15.0
    gather.expire(14.9)
    assert gather.ended_by is None
    gather.expire(15.0)
    assert gather.result() == GatheredDigits("", DigitsEnd.FIRST_TIMEOUT)

    gather = DigitGather(rules())
    gather.press("1", 10.0)
    gather.begin(11.0)
    assert gather.deadline == 12.0
    gather.expire(12.0)
    assert gather.result() == GatheredDigits("1", DigitsEnd.DIGIT_TIMEOUT)


def test_digits_are_not_shown() -> None:
    """They may be a PIN."""
    assert "1234" not in repr(GatheredDigits("1234", DigitsEnd.COUNT))


@pytest.mark.parametrize(
    "changes",
    [
        {"count": 0},
        {"terminator": "E"},
        {"first_timeout": -1.0},
        {"digit_timeout": nan},
        {"count": None, "terminator": "", "digit_timeout": inf},
    ],
)
def test_wrong_rules(changes: dict[str, Any]) -> None:
    """They are refused before anything is played."""
    with pytest.raises(LocalProtocolError, match="gather_digits"):
        rules(**changes)
