"""Collecting keys, without an event loop."""

from __future__ import annotations

import math

import pytest

from telnyx_trio.testing._gather import Gather, GatherRules


@pytest.mark.parametrize(
    ("rules", "keys", "status", "digits"),
    [
        (GatherRules(), "12#", "valid", "12"),
        (GatherRules(), "#", "invalid", ""),
        (GatherRules(minimum_digits=3), "12#", "invalid", "12"),
        (GatherRules(maximum_digits=3), "1234", "valid", "123"),
        (GatherRules(maximum_digits=2, valid_digits="12"), "19", "invalid", "19"),
        (GatherRules(terminating_digit="*"), "1#*", "valid", "1#"),
        (GatherRules(terminating_digit="", maximum_digits=2), "1#", "valid", "1#"),
        (GatherRules(), "12", None, "12"),
    ],
)
def test_keys_end_it(rules: GatherRules, keys: str, status: str | None, digits: str) -> None:
    """The terminating digit or the last one; what came is judged by number and by kind."""
    gather = Gather(rules)
    gather.start_clock(0)
    for at, key in enumerate(keys):
        gather.press(key, float(at))
    assert (gather.status, gather.digits) == (status, digits)


@pytest.mark.parametrize(
    ("keys", "minimum", "status"), [("", 1, "timeout"), ("1", 2, "timeout"), ("12", 2, "valid")]
)
def test_time_ends_it(keys: str, minimum: int, status: str) -> None:
    """Enough is valid although nobody pressed the terminating digit."""
    gather = Gather(GatherRules(minimum_digits=minimum))
    gather.start_clock(0)
    for key in keys:
        gather.press(key, 1)
    gather.expire()
    assert gather.status == status


def test_timeouts_move() -> None:
    """The first key has its own, each further one the same again, and all together one."""
    gather = Gather(GatherRules(timeout=10, initial_timeout=4, inter_digit_timeout=3))
    assert gather.deadline == math.inf
    gather.start_clock(100)
    assert gather.deadline == 104
    gather.press("1", 102)
    assert gather.deadline == 105
    for at in (104, 106, 108.5):
        gather.press("1", at)
    assert gather.deadline == 110


def test_first_outcome_stays() -> None:
    """Whatever comes after it."""
    gather = Gather(GatherRules(maximum_digits=1))
    gather.press("1", 0)
    gather.press("2", 0)
    gather.end("call_hangup")
    gather.expire()
    assert (gather.status, gather.digits) == ("valid", "1")
