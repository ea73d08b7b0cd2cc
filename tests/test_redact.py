"""What people may read of values that carry secrets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telnyx_trio._redact import cut, describe_size, redact_url

SECRET = "s3cr3t-token"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"wss://host.example/telnyx/media/{SECRET}", "wss://host.example/..."),
        (f"ws://127.0.0.1:8000/telnyx/media/{SECRET}", "ws://127.0.0.1:8000/..."),
        (f"wss://host.example/media?token={SECRET}", "wss://host.example/..."),
        (f"wss://host.example/#{SECRET}", "wss://host.example/..."),
        (f"https://user:{SECRET}@host.example/", "https://host.example/..."),
        (f"https://{SECRET}@host.example/", "https://host.example/..."),
        (f"wss://[::1]:8000/{SECRET}", "wss://[::1]:8000/..."),
        (f"wss://[::1/{SECRET}", "..."),
        (f"wss://host.example:port/{SECRET}", "..."),
        (SECRET, "..."),
        (f"/telnyx/media/{SECRET}", "..."),
        ("", "..."),
    ],
)
def test_url_is_cut_after_its_host(url: str, shown: str) -> None:
    """Of a URL only scheme, host and port are shown."""
    assert redact_url(url) == shown


@given(st.text())
def test_url_never_shows_its_path(path: str) -> None:
    """Whatever stands behind the host, it is not shown."""
    assert redact_url(f"wss://host.example/{path}") in ("wss://host.example/...", "...")


@given(st.text())
def test_any_text_is_taken_for_a_url(text: str) -> None:
    """Redacting does not fail, whatever it is given."""
    assert redact_url(text).endswith("...")


@pytest.mark.parametrize(("raw", "size"), [(b"abc", "3 bytes"), ("abc", "3 characters")])
def test_size_is_all_that_is_told(raw: str | bytes, size: str) -> None:
    """A text that may hold secrets is described by its size."""
    assert describe_size(raw) == size


def test_short_text_is_shown() -> None:
    """A text within the limit is shown whole, without dots."""
    assert cut("hello") == "hello"


def test_text_of_the_limit_is_shown() -> None:
    """A text of just the limit is not cut."""
    assert cut("x" * 80) == "x" * 80


def test_long_text_is_cut() -> None:
    """A text over the limit ends in dots after it."""
    assert cut("x" * 81) == "x" * 80 + "..."


def test_limit_can_be_given() -> None:
    """Another limit than the usual one may be asked for."""
    assert cut("hello", 2) == "he..."


@pytest.mark.parametrize(
    ("text", "shown"), [("a\nb", r"a\nb"), ("\x1b[31m", r"\x1b[31m"), ("\ud800", r"\ud800")]
)
def test_control_characters_are_made_visible(text: str, shown: str) -> None:
    """What a terminal or a log would obey is shown as an escape."""
    assert cut(text) == shown


@given(st.text())
def test_cut_is_one_printable_line(text: str) -> None:
    """Whatever the text, its excerpt is printable ASCII on one line."""
    shown = cut(text)
    assert shown.isascii()
    assert shown.isprintable() or shown == ""
