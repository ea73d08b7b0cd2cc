"""What a check found: expected, found, and what mends it."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class FindingStatus(enum.Enum):
    """How a check came out."""

    PASS = "pass"
    FAIL = "fail"
    WARNING = "warning"  # works, but not as it might be meant
    SKIPPED = "skipped"  # not asked for, or something that it needs has failed


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was checked.

    Attributes:
        name: what was checked, such as "webhook URL".
        status: how it came out.
        expected: what it should be.
        found: what it is; why it was not looked at, if it was skipped.
        remedy: what to do about it; empty where there is nothing to do.
    """

    name: str
    status: FindingStatus
    expected: str = ""
    found: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        text = f"{self.name}: expected {self.expected}, found {self.found}"
        return f"{text}. {self.remedy}" if self.remedy else text
