"""Reading fields of Telnyx's JSON that may be null, absent, or of another type than expected."""

from __future__ import annotations

from datetime import UTC, datetime


def read_text(value: object) -> str | None:
    """Take text, or a whole number as text; an empty text says no more than a null."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value else None


def read_time(value: object) -> datetime | None:
    """Read ISO 8601 as an aware time in UTC; a time without zone is UTC, as all of Telnyx's are."""
    if not isinstance(value, str):
        return None
    try:
        time = datetime.fromisoformat(value)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
