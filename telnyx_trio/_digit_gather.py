"""Which keys belong together, and when there are enough of them. Pure: times are passed in."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from math import inf

from ._errors import LocalProtocolError
from ._types import DTMF_DIGITS


class DigitsEnd(enum.Enum):
    """What ended the gathering of digits."""

    COUNT = "count"
    """As many were pressed as were asked for."""

    TERMINATOR = "terminator"
    """A terminating key was pressed."""

    FIRST_TIMEOUT = "first timeout"
    """No key was pressed in time."""

    DIGIT_TIMEOUT = "digit timeout"
    """After some, no further one was pressed in time."""


@dataclass(frozen=True)
class GatheredDigits:
    """What ``call.gather_digits`` gathered.

    Attributes:
        digits: in the order in which they were pressed, without the terminating one; not in the
            repr, as they may be a secret.
        ended_by: what ended the gathering.
    """

    digits: str
    ended_by: DigitsEnd

    def __repr__(self) -> str:
        return f"<GatheredDigits {len(self.digits)} digits, ended by {self.ended_by.value}>"


@dataclass(frozen=True)
class DigitRules:
    """When there are enough digits.

    Attributes:
        count: at most so many; None for no limit.
        terminator: any of these keys ends it; empty for none.
        first_timeout: seconds until the first key, from the end of the prompt.
        digit_timeout: seconds from one key to the next.

    Raises:
        LocalProtocolError: a value is none of what it may be, or nothing but the end of the call
            would end the gathering.
    """

    count: int | None
    terminator: str
    first_timeout: float
    digit_timeout: float

    def __post_init__(self) -> None:
        """Check the values."""
        if self.count is not None and self.count < 1:
            raise LocalProtocolError(f"gather_digits: count is {self.count}; it is 1 or more")
        if not set(self.terminator) <= DTMF_DIGITS:
            raise LocalProtocolError("gather_digits: terminator is of 0-9 A-D * #, or empty")
        for name in ("first_timeout", "digit_timeout"):
            if not getattr(self, name) >= 0:
                raise LocalProtocolError(f"gather_digits: {name} is a number of seconds")
        if self.count is None and not self.terminator and self.digit_timeout == inf:
            raise LocalProtocolError(
                "gather_digits: nothing would end it; give count, terminator or digit_timeout"
            )


class DigitGather:
    """One gathering, as far as it has come.

    Attributes:
        digits: pressed so far.
        ended_by: None while it goes on.
        deadline: when it will end for want of a key; infinite until the first timeout begins.
    """

    def __init__(self, rules: DigitRules) -> None:
        self.digits = ""
        self.ended_by: DigitsEnd | None = None
        self.deadline = inf
        self._rules = rules

    def begin(self, now: float) -> None:
        """Let the time until the first key run: the prompt is over."""
        if not self.digits:
            self.deadline = now + self._rules.first_timeout

    def press(self, digit: str, now: float) -> None:
        """Take a key, while it goes on."""
        if digit in self._rules.terminator:
            self.ended_by = DigitsEnd.TERMINATOR
            return
        self.digits += digit
        self.deadline = now + self._rules.digit_timeout
        if len(self.digits) == self._rules.count:
            self.ended_by = DigitsEnd.COUNT

    def expire(self, now: float) -> None:
        """End it if its deadline has come."""
        if self.ended_by is None and now >= self.deadline:
            self.ended_by = DigitsEnd.DIGIT_TIMEOUT if self.digits else DigitsEnd.FIRST_TIMEOUT

    def result(self) -> GatheredDigits:
        """Return what was gathered, once it has ended."""
        assert self.ended_by is not None
        return GatheredDigits(self.digits, self.ended_by)
