"""Fields of Telnyx's JSON."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from telnyx_trio._json_fields import read_text, read_time


@pytest.mark.parametrize(
    ("value", "expected"),
    [("a", "a"), (7, "7"), ("", None), (None, None), (True, None), ([], None), (1.5, None)],
)
def test_text(value: object, expected: str | None) -> None:
    """Text and whole numbers are taken, everything else is as good as absent."""
    assert read_text(value) == expected


@pytest.mark.parametrize(
    "value", ["2026-01-01T00:00:05Z", "2026-01-01T00:00:05", "2026-01-01T02:00:05+02:00"]
)
def test_time_is_aware_and_utc(value: str) -> None:
    """However its zone is written, or not."""
    assert read_time(value) == datetime(2026, 1, 1, 0, 0, 5, tzinfo=UTC)


@pytest.mark.parametrize("value", ["", "yesterday", "0001-01-01T00:00:00+23:59", 5, None])
def test_what_is_no_time_is_none(value: object) -> None:
    """Out of range included."""
    assert read_time(value) is None
