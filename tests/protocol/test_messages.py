"""What the message values promise by themselves."""

from __future__ import annotations

import pytest

from telnyx_trio._types import TelnyxMediaFormat
from telnyx_trio.protocol import (
    Connected,
    Dtmf,
    Error,
    Mark,
    Media,
    SendClear,
    SendMark,
    SendMedia,
    Start,
    Stop,
    UnknownMessage,
)

MESSAGES = [
    Connected("1.0.0"),
    Start(stream_id="stream-1"),
    Media("inbound", b"\xff"),
    Dtmf("4"),
    Mark("turn-3"),
    Error(100004),
    Stop(),
    UnknownMessage("news"),
    SendMedia(b"\xff"),
    SendMark("turn-3"),
    SendClear(),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_message_is_frozen(message: object) -> None:
    """No attribute of a message can be set, neither its own nor a new one."""
    own = next(iter(getattr(message, "__struct_fields__", ())), "anything")
    with pytest.raises(AttributeError):
        setattr(message, own, None)
    with pytest.raises(AttributeError):
        setattr(message, "anything_else", None)  # noqa: B010 - the name is not in the type


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_message_is_slotted(message: object) -> None:
    """A message has no instance dictionary."""
    assert not hasattr(message, "__dict__")


def test_start_defaults_are_pcmu_mono() -> None:
    """A start of which nothing is known is PCMU at 8 kHz, mono."""
    assert Start().media_format == TelnyxMediaFormat("PCMU", 8000, 1)


def test_start_custom_parameters_are_read_only() -> None:
    """The custom parameters of a start cannot be changed."""
    with pytest.raises(TypeError):
        Start().custom_parameters["room"] = "blue"  # type: ignore[index]


def test_messages_compare_by_value() -> None:
    """Equal fields of the same kind, and only those, make equal messages."""
    others: list[object] = [Mark("b"), SendMark("a")]
    assert Mark("a") == Mark("a")
    assert Mark("a") not in others
