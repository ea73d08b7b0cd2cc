"""JSON text to messages: the documented shapes, the tolerated ones, the refused ones, any text."""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telnyx_trio._errors import RemoteProtocolError
from telnyx_trio._types import TelnyxMediaFormat
from telnyx_trio.protocol import (
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

MESSAGE_TYPES = (Connected, Start, Media, Dtmf, Mark, Error, Stop, UnknownMessage)
COMMAND_TYPES = (SendMedia, SendMark, SendClear)

BASE64 = re.compile(r"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")

SECRET = "s3cr3t-t0k3n"

DOCUMENTED: list[dict[str, Any]] = [
    {"event": "connected", "version": "1.0.0"},
    {
        "event": "start",
        "sequence_number": "1",
        "stream_id": "5f0c-aa",
        "start": {
            "user_id": "u-9",
            "call_control_id": "v3:abc",
            "call_session_id": "s-77",
            "from": "+15550100001",
            "to": "+15550100002",
            "tags": ["vip"],
            "client_state": "aWQ9NDI=",
            "custom_parameters": {"room": "blue"},
            "media_format": {"encoding": "PCMA", "sample_rate": 8000, "channels": 1},
        },
    },
    {
        "event": "media",
        "sequence_number": "7",
        "stream_id": "5f0c-aa",
        "media": {"track": "inbound", "chunk": "6", "timestamp": "120", "payload": "/////w=="},
    },
    {
        "event": "dtmf",
        "sequence_number": "90",
        "stream_id": "5f0c-aa",
        "occurred_at": "2026-01-01T00:00:05.250Z",
        "dtmf": {"digit": "4"},
    },
    {
        "event": "mark",
        "sequence_number": "95",
        "stream_id": "5f0c-aa",
        "mark": {"name": "turn-3"},
    },
    {
        "event": "error",
        "stream_id": "5f0c-aa",
        "payload": {"code": 100004, "title": "invalid_media", "detail": "payload is not base64"},
    },
    {
        "event": "stop",
        "sequence_number": "400",
        "stream_id": "5f0c-aa",
        "stop": {"user_id": "u-9", "call_control_id": "v3:abc"},
    },
]

PARSED: list[Message] = [
    Connected("1.0.0"),
    Start(
        stream_id="5f0c-aa",
        call_control_id="v3:abc",
        call_session_id="s-77",
        user_id="u-9",
        from_number="+15550100001",
        to_number="+15550100002",
        tags=("vip",),
        client_state="aWQ9NDI=",
        custom_parameters={"room": "blue"},
        media_format=TelnyxMediaFormat("PCMA", 8000, 1),
        sequence_number=1,
    ),
    Media("inbound", b"\xff\xff\xff\xff", 6, 120, 7, "5f0c-aa"),
    Dtmf("4", datetime(2026, 1, 1, 0, 0, 5, 250_000, UTC), 90, "5f0c-aa"),
    Mark("turn-3", 95, "5f0c-aa"),
    Error(100004, "invalid_media", "payload is not base64", "5f0c-aa"),
    Stop("v3:abc", "u-9", 400, "5f0c-aa"),
]


def parse(value: object) -> Message:
    return parse_message(json.dumps(value))


def parse_media(**fields: object) -> Message:
    return parse({"event": "media", "media": {"payload": "", **fields}})


def parse_start(**fields: object) -> Start:
    message = parse({"event": "start", "start": fields})
    assert isinstance(message, Start)
    return message


def refusal(text: str) -> RemoteProtocolError:
    with pytest.raises(RemoteProtocolError) as caught:
        parse_message(text)
    return caught.value


@pytest.mark.parametrize(("wire", "message"), list(zip(DOCUMENTED, PARSED, strict=True)))
def test_documented_message(wire: dict[str, Any], message: Message) -> None:
    """Each documented message is read in full."""
    assert parse(wire) == message


@pytest.mark.parametrize("wire", DOCUMENTED, ids=lambda wire: str(wire["event"]))
def test_event_may_come_last(wire: dict[str, Any]) -> None:
    """The order of the fields does not matter."""
    assert parse(dict(reversed(wire.items()))) == parse(wire)


@pytest.mark.parametrize("wire", DOCUMENTED, ids=lambda wire: str(wire["event"]))
def test_unknown_fields_pass(wire: dict[str, Any]) -> None:
    """Unknown fields are passed over, at the top and one level down."""
    extended = {
        name: {**value, "new": {"deep": [1]}} if isinstance(value, dict) else value
        for name, value in wire.items()
    }
    assert parse({**extended, "new": [None]}) == parse(wire)


@pytest.mark.parametrize("counter", ["7", 7, 7.0])
def test_counter_may_be_text_or_number(counter: object) -> None:
    """Counters are ints, however they are written."""
    wire = {
        "event": "media",
        "sequence_number": counter,
        "media": {"payload": "", "chunk": counter, "timestamp": counter},
    }
    assert parse(wire) == Media("inbound", b"", 7, 7, 7)


def test_counter_may_be_null() -> None:
    """A null counter is no counter."""
    assert parse_media(chunk=None, timestamp=None) == Media("inbound", b"")


@pytest.mark.parametrize(
    "counter", ["", "six", "6.5", "-1", -1, 1.5, True, [], {}, 2**63, "9" * 30, "0x6", " 6", "६"]
)
@pytest.mark.parametrize("name", ["chunk", "timestamp"])
def test_malformed_counter_is_refused(name: str, counter: object) -> None:
    """What is no whole number from 0 to 63 bits is no counter."""
    with pytest.raises(RemoteProtocolError, match=name):
        parse_media(**{name: counter})


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "1" + "0" * 6000, "-"])
def test_number_out_of_range_is_refused(number: str) -> None:
    """Numbers that no int holds do not come through."""
    refusal(f'{{"event":"media","sequence_number":{number},"media":{{"payload":""}}}}')


@pytest.mark.parametrize(
    ("track", "expected"),
    [
        ("inbound", "inbound"),
        ("outbound", "outbound"),
        ("inbound_track", "inbound"),
        ("outbound_track", "outbound"),
        (None, "inbound"),
    ],
)
def test_track_spellings(track: str | None, expected: str) -> None:
    """The suffix ``_track`` is stripped; null is inbound."""
    message = parse_media(track=track)
    assert isinstance(message, Media)
    assert message.track == expected


def test_absent_track_is_inbound() -> None:
    """Media without a track are the far party's."""
    assert parse_media() == Media("inbound", b"")


@pytest.mark.parametrize("track", ["both", "", "Inbound", 1, []])
def test_unknown_track_is_refused(track: object) -> None:
    """A track that is neither inbound nor outbound cannot be delivered."""
    with pytest.raises(RemoteProtocolError, match="media message"):
        parse_media(track=track)


def test_empty_payload_is_media() -> None:
    """Zero bytes are a packet like another here."""
    assert parse_media(payload="") == Media("inbound", b"")


@pytest.mark.parametrize(
    "payload",
    ["!", "////w==", "/////w", "//// w==", "/////w==\n", "__--", "é===", "AA==AAAA", "=", None, 5],
)
def test_payload_that_is_not_base64_is_refused(payload: object) -> None:
    """Junk, white space, the URL alphabet and wrong padding are refused, not skipped."""
    with pytest.raises(RemoteProtocolError, match="payload"):
        parse_media(payload=payload)


@given(payload=st.text(alphabet="Aa0+/=-_ \n", max_size=12))
def test_base64_is_that_of_rfc_4648(payload: str) -> None:
    """Taken is what is padded base64 by RFC 4648 section 4, and its bytes are right."""
    if BASE64.fullmatch(payload):
        assert parse_media(payload=payload) == Media("inbound", base64.b64decode(payload))
    else:
        with pytest.raises(RemoteProtocolError):
            parse_media(payload=payload)


@pytest.mark.parametrize(
    "wire",
    [
        {"event": "media"},
        {"event": "media", "media": None},
        {"event": "media", "media": {}},
        {"event": "media", "media": []},
        {"event": "media", "media": "AAAA"},
        {"event": "dtmf"},
        {"event": "dtmf", "dtmf": {}},
        {"event": "dtmf", "dtmf": {"digit": 4}},
        {"event": "dtmf", "dtmf": {"digit": ""}},
        {"event": "dtmf", "dtmf": {"digit": "44"}},
        {"event": "dtmf", "dtmf": {"digit": "4"}, "occurred_at": "yesterday"},
        {"event": "mark"},
        {"event": "mark", "mark": {"name": None}},
        {"event": "error", "payload": "broken"},
        {"event": "error", "payload": {"code": "broken"}},
        {"event": "stop", "stop": 5},
        {"event": "start", "start": "now"},
        {"event": "start", "stream_id": 5},
        {"event": "connected", "version": {}},
    ],
    ids=json.dumps,
)
def test_malformed_known_message_is_refused(wire: dict[str, Any]) -> None:
    """A known message with a wrong known field is an error that names the message."""
    error = refusal(json.dumps(wire))
    assert error.event == wire["event"]


@pytest.mark.parametrize(
    "media_format",
    [
        {"sample_rate": 0},
        {"sample_rate": -8000},
        {"sample_rate": 10**9},
        {"sample_rate": "fast"},
        {"channels": 0},
        {"channels": 3},
        {"encoding": 5},
        "PCMU",
        [],
    ],
    ids=json.dumps,
)
def test_absurd_media_format_is_refused(media_format: object) -> None:
    """A format that no codec can have is malformed."""
    with pytest.raises(RemoteProtocolError, match="media_format"):
        parse_start(media_format=media_format)


@pytest.mark.parametrize(
    ("media_format", "expected"),
    [
        (None, TelnyxMediaFormat("PCMU", 8000, 1)),
        ({}, TelnyxMediaFormat("PCMU", 8000, 1)),
        ({"encoding": None, "sample_rate": None}, TelnyxMediaFormat("PCMU", 8000, 1)),
        ({"encoding": "l16"}, TelnyxMediaFormat("L16", 16000, 1)),
        ({"encoding": "L16", "sample_rate": "8000"}, TelnyxMediaFormat("L16", 8000, 1)),
        ({"encoding": "OPUS", "channels": 2}, TelnyxMediaFormat("OPUS", 8000, 2)),
    ],
    ids=str,
)
def test_media_format_is_filled_in(media_format: object, expected: TelnyxMediaFormat) -> None:
    """What the format leaves out follows from the encoding; unknown encodings pass."""
    assert parse_start(media_format=media_format).media_format == expected


@pytest.mark.parametrize("wire", [{"event": "start"}, {"event": "start", "start": None}])
def test_start_may_be_bare(wire: dict[str, Any]) -> None:
    """A start without anything in it is a start."""
    assert parse(wire) == Start()


def test_start_may_have_nulls() -> None:
    """Null fields, such as a withheld number, are absent ones."""
    names = ["from", "to", "user_id", "tags", "client_state", "custom_parameters", "media_format"]
    assert parse_start(**dict.fromkeys(names)) == Start()


@pytest.mark.parametrize(
    "parameters",
    [
        {"room": "blue", "seats": 4, "open": True, "note": None},
        [
            {"name": "room", "value": "blue"},
            {"name": "seats", "value": 4},
            {"name": "open", "value": True},
            {"name": "note"},
        ],
    ],
)
def test_custom_parameters_have_two_spellings(parameters: object) -> None:
    """An object and a list of name and value are the same; values are text, nulls are left out."""
    expected = {"room": "blue", "seats": "4", "open": "true"}
    assert parse_start(custom_parameters=parameters).custom_parameters == expected


def test_custom_parameter_text_is_unescaped() -> None:
    """Text that is written with escapes arrives as the text it means."""
    parameters = {"note": 'é"\n\U0001f600'}
    assert parse_start(custom_parameters=parameters).custom_parameters == parameters


@pytest.mark.parametrize("parameters", [5, "room", [5], [{"value": "blue"}]])
def test_malformed_custom_parameters_are_refused(parameters: object) -> None:
    """Custom parameters that are neither spelling are malformed."""
    with pytest.raises(RemoteProtocolError, match="custom_parameters"):
        parse_start(custom_parameters=parameters)


@pytest.mark.parametrize("wire", [{"event": "stop"}, {"event": "stop", "stop": None}])
def test_stop_may_be_bare(wire: dict[str, Any]) -> None:
    """A stop without anything in it is a stop."""
    assert parse(wire) == Stop()


def test_stop_reason_is_kept() -> None:
    """A reason is not documented, and kept when it comes."""
    assert parse({"event": "stop", "stop": {"reason": "hangup"}}) == Stop(reason="hangup")


@pytest.mark.parametrize(
    "payload", [None, {}, {"code": None, "title": None, "detail": None}], ids=str
)
def test_error_may_be_bare(payload: object) -> None:
    """An error that says nothing is an error."""
    assert parse({"event": "error", "payload": payload}) == Error()


def test_error_code_may_be_text() -> None:
    """The code is an int, however it is written."""
    assert parse({"event": "error", "payload": {"code": "100005"}}) == Error(100005)


@pytest.mark.parametrize(
    ("occurred_at", "offset"),
    [
        ("2026-01-01T00:00:05Z", timedelta(0)),
        ("2026-01-01T02:00:05+02:00", timedelta(hours=2)),
        ("2026-01-01T00:00:05.000000999Z", timedelta(0)),
        ("2026-01-01 00:00:05", timedelta(0)),
    ],
)
def test_dtmf_time_is_aware(occurred_at: str, offset: timedelta) -> None:
    """A key press has a time zone, UTC when none is written."""
    message = parse({"event": "dtmf", "occurred_at": occurred_at, "dtmf": {"digit": "#"}})
    assert isinstance(message, Dtmf)
    assert message.occurred_at is not None
    assert message.occurred_at.utcoffset() == offset
    assert abs(message.occurred_at - datetime(2026, 1, 1, 0, 0, 5, tzinfo=UTC)) < timedelta(
        microseconds=2
    )


@pytest.mark.parametrize("event", ["", "news", "MEDIA", "clear", "media\x00"])
def test_unknown_event_passes(event: str) -> None:
    """An event that is not known is named and passed on, whatever is in its message."""
    assert parse({"event": event, "media": 5, "stop": []}) == UnknownMessage(event)


@pytest.mark.parametrize(
    "text",
    ["", " ", "{", "media", '{"event":"media"', '{"event":"stop"} x', "\ufeff{}", "{'event':1}"],
)
def test_text_that_is_not_json_is_refused(text: str) -> None:
    """Broken JSON is an error that names no message and tells the size."""
    error = refusal(text)
    assert error.event is None
    assert str(error) == f"not JSON, {len(text)} characters"


@pytest.mark.parametrize(
    "text", ["null", "5", '"media"', "[]", '["event"]', "{}", '{"event":null}', '{"event":[]}']
)
def test_text_without_event_is_refused(text: str) -> None:
    """JSON that is no object with a text as event is an error that names no message."""
    error = refusal(text)
    assert error.event is None
    assert "no JSON object with a text as `event`" in str(error)


@pytest.mark.parametrize("surrogate", ["\ud800", "\\ud800", "\\udc00x"])
def test_lone_surrogates_are_refused(surrogate: str) -> None:
    """Text that is not Unicode does not come through, raw or escaped."""
    refusal(f'{{"event":"mark","mark":{{"name":"{surrogate}"}}}}')


@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize("event", ["mark", "news"])
def test_deep_nesting_is_refused(event: str, opening: str) -> None:
    """Nesting that exhausts the parser's stack is an error like another."""
    refusal(f'{{"event":"{event}","x":{opening * 100_000}')


@pytest.mark.parametrize(
    "text",
    [
        f'{{"event":"connected","version":5,"connected":{{"token":"{SECRET}"}}}}',
        f'{{"event":"connected","version":"1","connected":{{"token":"{SECRET}"}}',
        f'{{"event":"connected","connected":"{SECRET}\ud800"}}',
        f'{{"event":"media","media":{{"payload":"{SECRET}"}}}}',
        f'{{"event":"media","media":{{"payload":"","chunk":"{SECRET}"}}}}',
        f'{{"event":"mark","mark":{{"{SECRET}":5}}}}',
        f'{{"event":"start","start":{{"custom_parameters":{{"{SECRET}":"a\\ud800"}}}}}}',
        f'{{"event":["{SECRET}"]}}',
        f'{{"event":"{SECRET}","event":"media"}}',
        SECRET,
    ],
)
def test_error_holds_no_value(text: str) -> None:
    """Nothing of the message is in the error, its arguments, or the errors behind it."""
    error: BaseException | None = refusal(text)
    while error is not None:
        assert SECRET not in f"{error!s} {error!r} {error.args!r} {vars(error)!r}"
        error = error.__cause__ or error.__context__


def test_connected_does_not_keep_its_token() -> None:
    """The authentication token of a connected message is in no part of the value."""
    wire = {"event": "connected", "version": "1.0.0", "connected": {"x-token": SECRET}}
    message = parse(wire)
    assert message == Connected("1.0.0")
    assert SECRET not in repr(message)


def test_parse_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Reading does not log, neither what is good nor what is bad."""
    with caplog.at_level(logging.DEBUG):
        parse(DOCUMENTED[0])
        refusal("{")
    assert not caplog.records


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ('{"event":"media","media":{"payload":"/w=="}}', SendMedia(b"\xff")),
        ('{"event":"media","stream_id":"a","media":{"payload":""}}', SendMedia(b"", "a")),
        ('{"event":"mark","mark":{"name":"turn-3"}}', SendMark("turn-3")),
        ('{"event":"clear","stream_id":"a"}', SendClear()),
    ],
)
def test_command(text: str, command: object) -> None:
    """Each documented message to Telnyx is read."""
    assert parse_command(text) == command


@pytest.mark.parametrize(
    "text",
    [
        '{"event":"stop"}',
        '{"event":"media","media":{"payload":"!"}}',
        '{"event":"mark"}',
        '{"event":"mark","mark":{"name":"\ud800"}}',
        "{",
        "[]",
        '{"event":"clear","x":' + "[" * 100_000,
    ],
    ids=lambda text: ascii(text[:30]),
)
def test_malformed_command_is_refused(text: str) -> None:
    """What Telnyx does not know or cannot read is refused."""
    with pytest.raises(RemoteProtocolError):
        parse_command(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


@st.composite
def mutated_texts(draw: st.DrawFn) -> str:
    """Make a documented message with one value replaced and perhaps some characters disturbed."""
    wire = json.loads(json.dumps(draw(st.sampled_from(DOCUMENTED))))
    place = wire
    name = draw(st.sampled_from(sorted(wire)))
    if isinstance(wire[name], dict) and draw(st.booleans()):
        place = wire[name]
        name = draw(st.sampled_from(sorted(place)))
    place[name] = draw(json_values)
    text = json.dumps(wire, ensure_ascii=draw(st.booleans()))
    if draw(st.booleans()):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 5)))
        text = text[:start] + draw(st.text(st.characters(), max_size=3)) + text[end:]
    return text


any_texts = st.text(st.characters(), max_size=60) | json_values.map(json.dumps) | mutated_texts()


def outcome(read: Callable[[str], object], text: str) -> object:
    try:
        return read(text)
    except RemoteProtocolError as error:
        return error


@settings(max_examples=300, deadline=None)
@given(text=any_texts)
def test_any_text_is_a_message_or_a_remote_error(text: str) -> None:
    """Whatever comes is a message or a RemoteProtocolError, and nothing else, both ways."""
    assert isinstance(outcome(parse_message, text), (*MESSAGE_TYPES, RemoteProtocolError))
    assert isinstance(outcome(parse_command, text), (*COMMAND_TYPES, RemoteProtocolError))


@settings(deadline=None)
@given(text=any_texts)
def test_any_message_can_be_written_again(text: str) -> None:
    """What was read, from whatever text, is written and read again unchanged."""
    message = outcome(parse_message, text)
    if not isinstance(message, RemoteProtocolError):
        assert isinstance(message, MESSAGE_TYPES)
        assert parse_message(serialise(message)) == message


@pytest.mark.parametrize("character", ["x", "\n", "\U0001f600"])
@pytest.mark.parametrize("name", ["event", "track", "chunk", "payload"])
def test_error_is_short(name: str, character: str) -> None:
    """A long value does not make a long error, control characters are escaped."""
    wire: dict[str, object] = {"event": "media", "media": {"payload": "", name: character * 500}}
    if name == "event":
        wire = {"event": character * 500}
    for read in (parse_message, parse_command):
        error = outcome(read, json.dumps(wire))
        if isinstance(error, RemoteProtocolError):
            assert len(str(error)) < 300
            assert str(error).isascii()
            assert str(error).isprintable()


@pytest.mark.parametrize("digit", ["", "55", "x", "a", "é", "5\n"])
def test_what_is_no_key_is_malformed(digit: str) -> None:
    """A digit is one of 0-9, A-D, * and #."""
    text = json.dumps({"event": "dtmf", "dtmf": {"digit": digit}})
    with pytest.raises(RemoteProtocolError, match="dtmf"):
        parse_message(text)
