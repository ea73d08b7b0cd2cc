"""Collecting keys, as ``gather`` does. Sans-I/O: the time is passed in.

Keys are collected until there are ``maximum_digits`` of them, or the terminating digit comes, or
time runs out. What time leaves is valid if it is enough. A key that is not among the valid ones is
collected too and spoils the outcome: Telnyx has a status for it and does not say when.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

GatherStatus: TypeAlias = Literal["valid", "invalid", "timeout", "cancelled", "call_hangup"]


@dataclass(frozen=True)
class GatherRules:
    """What a command asked for; times are seconds.

    Attributes:
        minimum_digits: fewer are not valid.
        maximum_digits: ends the collecting.
        timeout: of all of it.
        initial_timeout: for the first key.
        inter_digit_timeout: for each further key.
        terminating_digit: ends the collecting, and is not collected; "" for none.
        valid_digits: every other one makes the outcome invalid.
    """

    minimum_digits: int = 1
    maximum_digits: int = 128
    timeout: float = 60.0
    initial_timeout: float = 5.0
    inter_digit_timeout: float = 5.0
    terminating_digit: str = "#"
    valid_digits: str = "0123456789#*"


@dataclass
class Gather:
    """Keys that are being collected.

    Attributes:
        rules: what was asked for.
        digits: collected so far.
        status: the outcome; None while keys are collected.
    """

    rules: GatherRules
    digits: str = ""
    status: GatherStatus | None = None
    _deadline: float = field(default=math.inf, repr=False)
    _last_moment: float = field(default=math.inf, repr=False)

    @property
    def deadline(self) -> float:
        """When time runs out; infinite until ``start_clock``."""
        return min(self._deadline, self._last_moment)

    def start_clock(self, now: float) -> None:
        """Let the timeouts run from now on; what was pressed before counts."""
        self._last_moment = now + self.rules.timeout
        self._deadline = now + (
            self.rules.inter_digit_timeout if self.digits else self.rules.initial_timeout
        )

    def press(self, digit: str, now: float) -> None:
        """Take a key."""
        if self.status is not None:
            return
        if digit == self.rules.terminating_digit:
            self._conclude("invalid")
            return
        self.digits += digit
        self._deadline = now + self.rules.inter_digit_timeout
        if len(self.digits) >= self.rules.maximum_digits:
            self._conclude("invalid")

    def expire(self) -> None:
        """Time has run out."""
        self._conclude("timeout")

    def end(self, status: GatherStatus) -> None:
        """End it from outside, unless it is over."""
        if self.status is None:
            self.status = status

    def _conclude(self, otherwise: GatherStatus) -> None:
        if any(digit not in self.rules.valid_digits for digit in self.digits):
            self.end("invalid")
        elif len(self.digits) < self.rules.minimum_digits:
            self.end(otherwise)
        else:
            self.end("valid")
