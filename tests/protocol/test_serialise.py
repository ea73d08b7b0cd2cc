"""Messages to JSON text: as Telnyx spells them, and back again unchanged."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telnyx_trio._errors import LocalProtocolError
from telnyx_trio._types import TelnyxMediaFormat, Track
from telnyx_trio.protocol import (
    Command,
    Connected,
    Dtmf,
    Error,
    Mark,
    Media,
    Message,
    SendClear,
    SendMark,
    SendMedia,
    Start,
    Stop,
    UnknownMessage,
    parse_command,
    parse_message,
    serialise,
)

T = TypeVar("T")

KNOWN_EVENTS = {"connected", "start", "media", "dtmf", "mark", "error", "stop"}
TRACKS: list[Track] = ["inbound", "outbound"]


def maybe(strategy: st.SearchStrategy[T]) -> st.SearchStrategy[T | None]:
    return st.none() | strategy


texts = st.text(max_size=12)  # without surrogates, as Hypothesis makes text by default
counters = maybe(st.integers(0, 2**63 - 1))
ids = maybe(texts)
formats = st.builds(
    TelnyxMediaFormat,
    encoding=st.sampled_from(["PCMU", "PCMA", "L16", "G722", "AMR-WB"]),
    sample_rate=st.integers(1, 192_000),
    channels=st.integers(1, 2),
)
messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(Connected, ids),
    st.builds(
        Start,
        stream_id=ids,
        call_control_id=ids,
        call_session_id=ids,
        user_id=ids,
        from_number=ids,
        to_number=ids,
        tags=st.lists(texts, max_size=3).map(tuple),
        client_state=ids,
        custom_parameters=st.dictionaries(texts, texts, max_size=3),
        media_format=formats,
        sequence_number=counters,
    ),
    st.builds(
        Media, st.sampled_from(TRACKS), st.binary(max_size=40), counters, counters, counters, ids
    ),
    st.builds(
        Dtmf,
        st.sampled_from("0123456789ABCD*#"),
        maybe(st.datetimes(timezones=st.just(UTC))),
        counters,
        ids,
    ),
    st.builds(Mark, texts, counters, ids),
    st.builds(Error, counters, texts, texts, ids),
    st.builds(Stop, ids, ids, counters, ids, ids),
    st.builds(UnknownMessage, texts.filter(lambda event: event not in KNOWN_EVENTS)),
)
commands: st.SearchStrategy[Command] = st.one_of(
    st.builds(SendMedia, st.binary(max_size=200), ids),
    st.builds(SendMark, texts),
    st.just(SendClear()),
)


@settings(max_examples=300, deadline=None)
@given(message=messages)
def test_message_round_trip(message: Message) -> None:
    """What Telnyx's side writes is what we read."""
    assert parse_message(serialise(message)) == message


@settings(deadline=None)
@given(command=commands)
def test_command_round_trip(command: Command) -> None:
    """What we write is what Telnyx's side reads."""
    assert parse_command(serialise(command)) == command


@pytest.mark.parametrize(
    ("message", "wire"),
    [
        (SendMedia(b"\x7f\x7f\xff"), {"event": "media", "media": {"payload": "f3//"}}),
        (
            SendMedia(b"", 'a"b'),
            {"event": "media", "stream_id": 'a"b', "media": {"payload": ""}},
        ),
        (SendMark("turn-3"), {"event": "mark", "mark": {"name": "turn-3"}}),
        (SendClear(), {"event": "clear"}),
        (
            Media("inbound", b"\xff", 6, 120, 7, "a"),
            {
                "event": "media",
                "sequence_number": "7",
                "stream_id": "a",
                "media": {"track": "inbound", "chunk": "6", "timestamp": "120", "payload": "/w=="},
            },
        ),
        (
            Dtmf("4", datetime(2026, 1, 1, 0, 0, 5, 250_000, UTC), 90),
            {
                "event": "dtmf",
                "sequence_number": "90",
                "occurred_at": "2026-01-01T00:00:05.250000Z",
                "dtmf": {"digit": "4"},
            },
        ),
        (Stop(user_id="u"), {"event": "stop", "stop": {"user_id": "u"}}),
        (
            Start(sequence_number=1),
            {
                "event": "start",
                "sequence_number": "1",
                "start": {
                    "from": None,
                    "tags": [],
                    "custom_parameters": {},
                    "media_format": {"encoding": "PCMU", "sample_rate": 8000, "channels": 1},
                },
            },
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_wire_shape(message: Message | Command, wire: dict[str, object]) -> None:
    """Counters are strings, absent fields are left out, a withheld number is null."""
    assert json.loads(serialise(message)) == wire


@pytest.mark.parametrize(
    "message", [SendMark("\ud800"), SendMedia(b"", "\ud800"), Mark("\ud800")], ids=ascii
)
def test_lone_surrogate_is_a_local_error(message: Message | Command) -> None:
    """Text that cannot be written as UTF-8 is the caller's mistake, told without the text."""
    with pytest.raises(LocalProtocolError) as caught:
        serialise(message)
    assert caught.value.__context__ is None
