"""parse_event: from bytes to typed events."""

from __future__ import annotations

import dataclasses
import json
import typing
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from telnyx.types.call_hangup import Payload as SdkHangupPayload
from telnyx.types.call_streaming_failed import Payload as SdkStreamingFailedPayload
from telnyx.types.unwrap_webhook_event import UnwrapWebhookEvent

from telnyx_trio._errors import InvalidWebhook
from telnyx_trio.webhooks import (
    CallAnswered,
    CallBridged,
    CallDtmfReceived,
    CallHangup,
    CallInitiated,
    CallScreeningDetected,
    GatherEnded,
    MachineDetectionEnded,
    MachineGreetingEnded,
    PlaybackEnded,
    PlaybackStarted,
    RecordingError,
    RecordingSaved,
    SpeakEnded,
    SpeakStarted,
    StreamingFailed,
    StreamingStarted,
    StreamingStopped,
    WebhookEvent,
    parse_event,
)

CLASSES = {
    "call.initiated": CallInitiated,
    "call.answered": CallAnswered,
    "call.bridged": CallBridged,
    "call.hangup": CallHangup,
    "call.dtmf.received": CallDtmfReceived,
    "streaming.started": StreamingStarted,
    "streaming.stopped": StreamingStopped,
    "streaming.failed": StreamingFailed,
    "call.machine.detection.ended": MachineDetectionEnded,
    "call.machine.greeting.ended": MachineGreetingEnded,
    "call.machine.premium.detection.ended": MachineDetectionEnded,
    "call.machine.premium.greeting.ended": MachineGreetingEnded,
    "call.machine.premium.call_screening.detected": CallScreeningDetected,
    "call.playback.started": PlaybackStarted,
    "call.playback.ended": PlaybackEnded,
    "call.speak.started": SpeakStarted,
    "call.speak.ended": SpeakEnded,
    "call.gather.ended": GatherEnded,
    "call.recording.saved": RecordingSaved,
    "call.recording.error": RecordingError,
}


def body(event_type: str, payload: object = None, **data: object) -> bytes:
    return json.dumps(
        {"data": {"record_type": "event", "event_type": event_type, "payload": payload} | data}
    ).encode()


def test_common_fields() -> None:
    """What all events share is read from envelope and payload."""
    payload = {
        "call_control_id": "v3:abc",
        "call_leg_id": "leg",
        "call_session_id": "session",
        "connection_id": "7",
        "client_state": "aWQ9NDI=",
        "from": "+15550100001",
        "to": "+15550100002",
    }
    envelope = {
        "data": {
            "record_type": "event",
            "event_type": "call.answered",
            "id": "e-1",
            "occurred_at": "2026-01-01T00:00:05.250123Z",
            "payload": payload,
        },
        "meta": {"attempt": 2, "delivered_to": "https://example.com"},
    }
    assert parse_event(json.dumps(envelope).encode()) == CallAnswered(
        event_type="call.answered",
        id="e-1",
        occurred_at=datetime(2026, 1, 1, 0, 0, 5, 250123, tzinfo=UTC),
        call_control_id="v3:abc",
        call_leg_id="leg",
        call_session_id="session",
        connection_id="7",
        client_state="aWQ9NDI=",
        from_number="+15550100001",
        to_number="+15550100002",
        payload=payload,
        attempt=2,
    )


@pytest.mark.parametrize("event_type", CLASSES)
def test_class_of_event_type(event_type: str) -> None:
    """Each documented event type has its class."""
    assert type(parse_event(body(event_type, {}))) is CLASSES[event_type]


@pytest.mark.parametrize("event_type", CLASSES)
def test_null_payload(event_type: str) -> None:
    """A null payload is an empty one."""
    event = parse_event(body(event_type, None))
    assert event.payload == {}
    assert event.call_control_id is None


@pytest.mark.parametrize("event_type", CLASSES)
def test_null_fields(event_type: str) -> None:
    """Each field may be null."""
    names = [field.name for field in dataclasses.fields(CLASSES[event_type])]
    event = parse_event(body(event_type, dict.fromkeys(names), id=None, occurred_at=None))
    assert event.id is None
    assert event.occurred_at is None


@pytest.mark.parametrize("event_type", CLASSES)
@pytest.mark.parametrize("junk", [True, 1.5, [], {"a": 1}])
def test_fields_of_another_type(event_type: str, junk: object) -> None:
    """A field of an undocumented type does not cost us the event."""
    names = ["call_control_id", "digit", "state", "hangup_cause", "start_time", "recording_urls"]
    event = parse_event(body(event_type, dict.fromkeys(names, junk)))
    assert event.call_control_id is None


def test_unknown_event_type_is_generic() -> None:
    """An event that we do not know keeps its name and payload."""
    event = parse_event(body("call.teleported", {"call_control_id": "v3:abc", "where": "Mars"}))
    assert type(event) is WebhookEvent
    assert event.event_type == "call.teleported"
    assert event.payload["where"] == "Mars"


@pytest.mark.parametrize("what", ["started", "stopped", "failed"])
@pytest.mark.parametrize("form", ["streaming.{}", "call.streaming.{}", "streaming_{}"])
def test_spellings_of_streaming_events(form: str, what: str) -> None:
    """All three spellings seen in the field are one event."""
    assert parse_event(body(form.format(what))).event_type == f"streaming.{what}"


def test_underscores_elsewhere_stay() -> None:
    """Only the streaming events are respelled."""
    assert parse_event(body("call_answered")).event_type == "call_answered"


def test_initiated() -> None:
    """The direction of a new leg is told."""
    event = parse_event(
        body("call.initiated", {"direction": "incoming", "state": "parked", "caller_id_name": "A"})
    )
    assert isinstance(event, CallInitiated)
    assert (event.direction, event.state, event.caller_id_name) == ("incoming", "parked", "A")


def test_hangup() -> None:
    """A hangup says why, who, and how good the line was."""
    stats = {"inbound": {"mos": "4.50"}, "outbound": {"packet_count": "7"}}
    event = parse_event(
        body(
            "call.hangup",
            {
                "hangup_cause": "user_busy",
                "hangup_source": "callee",
                "sip_hangup_cause": "486",
                "call_quality_stats": stats,
                "start_time": "2026-01-01T00:00:00Z",
            },
        )
    )
    assert isinstance(event, CallHangup)
    assert event.hangup_cause == "user_busy"
    assert event.hangup_source == "callee"
    assert event.sip_hangup_cause == "486"
    assert event.call_quality_stats == stats
    assert event.start_time == datetime(2026, 1, 1, tzinfo=UTC)


def test_dtmf() -> None:
    """A key press tells its digit, also when it comes as a number."""
    for digit in ("4", 4):
        event = parse_event(body("call.dtmf.received", {"digit": digit}))
        assert isinstance(event, CallDtmfReceived)
        assert event.digit == "4"


@pytest.mark.parametrize(
    ("event_type", "premium"),
    [
        ("call.machine.detection.ended", False),
        ("call.machine.greeting.ended", False),
        ("call.machine.premium.detection.ended", True),
        ("call.machine.premium.greeting.ended", True),
    ],
)
def test_machine_events(event_type: str, premium: bool) -> None:
    """The two kinds of detection share a class and tell which they are."""
    event = parse_event(body(event_type, {"result": "not_sure"}))
    assert isinstance(event, MachineDetectionEnded | MachineGreetingEnded)
    assert event.result == "not_sure"
    assert event.premium is premium


def test_recording_saved() -> None:
    """Links are kept by format; an entry that is no text is left out."""
    event = parse_event(
        body(
            "call.recording.saved",
            {
                "recording_urls": {"wav": "https://example.com/r.wav", "mp3": None},
                "recording_ended_at": "2026-01-01T01:00:00+01:00",
            },
        )
    )
    assert isinstance(event, RecordingSaved)
    assert event.recording_urls == {"wav": "https://example.com/r.wav"}
    assert event.recording_ended_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert event.public_recording_urls == {}


def test_stream_url_is_cut_everywhere() -> None:
    """The token in the media URL is in no part of the event, however deep it was."""
    event = parse_event(
        body(
            "streaming.failed",
            {
                "stream_id": "s-1",
                "stream_url": "wss://voice.example.com:8443/telnyx/media/SECRET",
                "failure_reason": "cannot connect to wss://voice.example.com/telnyx/media/SECRET",
                "stream_params": {"stream_url": "https://voice.example.com/telnyx/media/SECRET"},
                "tags": ["ws://voice.example.com/SECRET", 7],
            },
        )
    )
    assert isinstance(event, StreamingFailed)
    assert event.failure_reason == "cannot connect to wss://voice.example.com/..."
    assert event.payload["stream_url"] == "wss://voice.example.com:8443/..."
    assert "SECRET" not in str(event.payload)
    quoted = "https://voice.example.com/telnyx/media/SECRET, wss:\\/\\/voice.example.com\\/SECRET"
    again = parse_event(
        body("streaming.failed", {"failure_reason": quoted, "stream_auth_token": "SECRET"})
    )
    assert isinstance(again, StreamingFailed)
    assert "SECRET" not in f"{again.failure_reason} {again.payload}"
    started = parse_event(body("streaming.started", {"stream_url": "wss://a.example/SECRET"}))
    assert isinstance(started, StreamingStarted)
    assert started.stream_url == "wss://a.example/..."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-01T00:00:00", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-01-01T00:00:00.1234567Z", datetime(2026, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)),
        ("yesterday", None),
        ("0001-01-01T00:00:00+23:59", None),
        (1767225600, None),
    ],
)
def test_occurred_at(text: object, expected: datetime | None) -> None:
    """Times are aware and in UTC; what cannot be read is None."""
    assert parse_event(body("call.answered", {}, occurred_at=text)).occurred_at == expected


@pytest.mark.parametrize("meta", [None, [], {}, {"attempt": None}, {"attempt": "2"}])
def test_attempt_defaults_to_first(meta: object) -> None:
    """Without a count of the delivery it is the first."""
    envelope = {"data": {"event_type": "call.answered"}, "meta": meta}
    assert parse_event(json.dumps(envelope).encode()).attempt == 1


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"data": "\xff"}', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"data":' * 900 + b"1" + b"}" * 900, "not JSON|event_type"),
        (b"[]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"{}", "no data object"),
        (b'{"data": null}', "no data object"),
        (b'{"event_type": "call_answered", "payload": {}}', "API version 1"),
        (b'{"data": {}}', "event_type"),
        (b'{"data": {"event_type": null}}', "event_type"),
        (b'{"data": {"event_type": 5}}', "event_type"),
        (b'{"data": {"event_type": "x", "id": 5}}', "id is not text"),
        (b'{"data": {"event_type": "x", "payload": "y"}}', "payload is not an object"),
        (b'{"data": {"event_type": "x", "payload": []}}', "payload is not an object"),
    ],
)
def test_invalid_webhook(raw: bytes, problem: str) -> None:
    """What is no event is refused, saying why."""
    with pytest.raises(InvalidWebhook, match=problem):
        parse_event(raw)


def test_error_does_not_quote_the_body() -> None:
    """Neither the error nor its cause holds what the body said."""
    with pytest.raises(InvalidWebhook) as caught:
        parse_event(b'{"data": "wss://host/SECRET \xff"}')
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert "SECRET" not in str(caught.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
field_names = st.sampled_from(["call_control_id", "from", "digit", "stream_url", "recording_urls"])


@settings(max_examples=40, deadline=None)
@given(
    event_type=st.sampled_from([*CLASSES, "call.unknown"]),
    payload=st.none() | st.dictionaries(field_names | st.text(), json_values),
    occurred_at=json_values,
)
def test_any_payload_is_read(
    event_type: str, payload: dict[str, Any] | None, occurred_at: object
) -> None:
    """No payload, however strange, raises."""
    event = parse_event(body(event_type, payload, occurred_at=occurred_at))
    assert event.event_type == event_type


def test_fields_are_those_of_the_official_sdk() -> None:
    """The names that we read are in Telnyx's own types."""
    hangup = {"hangup_cause", "hangup_source", "sip_hangup_cause", "call_quality_stats"}
    assert hangup | {"start_time"} <= set(SdkHangupPayload.model_fields)
    failed = {"failure_reason", "stream_id", "stream_type"}
    assert failed <= set(SdkStreamingFailedPayload.model_fields)


def test_event_types_are_those_of_the_official_sdk() -> None:
    """Each event type that has a class is one that Telnyx's own SDK knows."""
    known: set[str] = set()
    for model in typing.get_args(UnwrapWebhookEvent):
        known |= _event_types(model)
    assert set(CLASSES) - known == set()


def _event_types(model: Any) -> set[str]:
    """Collect the literals of ``event_type`` in a pydantic model, ``data`` included."""
    found: set[str] = set()
    for name, field in getattr(model, "model_fields", {}).items():
        for part in typing.get_args(field.annotation) or (field.annotation,):
            if name == "event_type":
                found |= set(typing.get_args(part))
            elif name == "data":
                found |= _event_types(part)
    return found
