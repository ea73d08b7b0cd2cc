"""From the body of a webhook to its typed event. How events look is in ``_events``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, TypeAlias

import msgspec

from .._errors import InvalidWebhook
from .._json_fields import read_text, read_time
from .._redact import cut, redact_url
from ._events import (
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
)


def parse_event(body: bytes) -> WebhookEvent:
    """Read the body of a webhook of API version 2.

    Event types without a class of their own become a plain ``WebhookEvent``. Fields that are
    missing, null, or of another type than documented are None in the event, and stay as they are
    in ``payload``.

    Args:
        body: of the request; its signature is checked already.

    Raises:
        InvalidWebhook: it is not JSON, or has no ``data`` object with an ``event_type``, or its
            ``id`` or ``payload`` are of another type. The message quotes nothing of the body.
    """
    try:
        envelope = _redact(msgspec.json.decode(body))
    except (ValueError, RecursionError):
        # The cause is dropped: a UnicodeDecodeError holds the whole body.
        raise InvalidWebhook("the body is not JSON") from None
    if not isinstance(envelope, dict):
        raise InvalidWebhook("the body is not a JSON object")
    data = envelope.get("data")
    if not isinstance(data, dict):
        if "event_type" in envelope:
            raise InvalidWebhook("an event of API version 1; set webhook_api_version to 2")
        raise InvalidWebhook("there is no data object")
    event_type = data.get("event_type")
    if not isinstance(event_type, str) or not event_type:
        raise InvalidWebhook("data.event_type is missing or not text")
    event_type = _STREAMING_SPELLINGS.get(event_type, event_type)
    event_id = data.get("id")
    if not isinstance(event_id, str | None):
        raise InvalidWebhook(f"{cut(event_type)}: data.id is not text")
    payload = data.get("payload")
    if not isinstance(payload, dict | None):
        raise InvalidWebhook(f"{cut(event_type)}: data.payload is not an object")
    payload = payload or {}
    meta = envelope.get("meta")
    attempt = meta.get("attempt") if isinstance(meta, dict) else None
    make_event, readers = _EVENTS.get(event_type, (WebhookEvent, {}))
    return make_event(
        event_type=event_type,
        id=event_id or None,
        occurred_at=read_time(data.get("occurred_at")),
        call_control_id=read_text(payload.get("call_control_id")),
        call_leg_id=read_text(payload.get("call_leg_id")),
        call_session_id=read_text(payload.get("call_session_id")),
        connection_id=read_text(payload.get("connection_id")),
        client_state=read_text(payload.get("client_state")),
        from_number=read_text(payload.get("from")),
        to_number=read_text(payload.get("to")),
        payload=payload,
        attempt=attempt if type(attempt) is int else 1,
        **{name: read(payload.get(name)) for name, read in readers.items()},
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _texts(value: object) -> Mapping[str, str]:
    return {name: text for name, text in _mapping(value).items() if isinstance(text, str)}


_WEBSOCKET_URL: Final = re.compile(r"wss?:(?:\\?/){2}[^\s\"'<>]+", re.IGNORECASE)
_ANY_URL: Final = re.compile(r"[a-z]+:(?:\\?/){2}[^\s\"'<>]+", re.IGNORECASE)
_SECRET_FIELDS: Final = frozenset({"stream_auth_token"})


def _redact(value: Any) -> Any:
    """Copy a JSON value, each media socket URL cut after the host: its path holds a token."""
    if isinstance(value, dict):
        return {name: _redact_field(name, item) for name, item in value.items()}
    if isinstance(value, list):
        return [_redact(item) for item in value]
    if isinstance(value, str):
        return _WEBSOCKET_URL.sub(_cut_url, value)
    return value


def _redact_field(name: str, value: Any) -> Any:
    if name in _SECRET_FIELDS:
        return "..."
    if isinstance(value, str):
        if name == "stream_url":
            return redact_url(value)
        if name == "failure_reason":
            # Free text that goes into the log: it may quote the URL in any form.
            return _ANY_URL.sub(_cut_url, value)
    return _redact(value)


def _cut_url(found: re.Match[str]) -> str:
    return redact_url(found.group().replace("\\", ""))


_Reader: TypeAlias = Callable[[object], Any]
_EventFactory: TypeAlias = Callable[..., WebhookEvent]

# Telnyx's SDK and pages write `streaming.started`, its sample code `call.streaming.started`, and
# `streaming_started` was seen by others on envelopes of version 2.
_STREAMING_SPELLINGS: Final[Mapping[str, str]] = {
    f"{prefix}streaming{dot}{what}": f"streaming.{what}"
    for what in ("started", "stopped", "failed")
    for prefix, dot in (("", "_"), ("call.", "."), ("call_", "_"), ("call.", "_"))
}

_PLAYED: Final[Mapping[str, _Reader]] = {"media_url": read_text, "media_name": read_text}
_STREAM: Final[Mapping[str, _Reader]] = {"stream_id": read_text, "stream_url": read_text}

# Which class an event type has, and how the fields beyond the common ones are read.
_EVENTS: Final[Mapping[str, tuple[_EventFactory, Mapping[str, _Reader]]]] = {
    "call.initiated": (
        CallInitiated,
        {"direction": read_text, "state": read_text, "caller_id_name": read_text},
    ),
    "call.answered": (CallAnswered, {}),
    "call.bridged": (CallBridged, {}),
    "call.hangup": (
        CallHangup,
        {
            "hangup_cause": read_text,
            "hangup_source": read_text,
            "sip_hangup_cause": read_text,
            "call_quality_stats": _mapping,
            "start_time": read_time,
        },
    ),
    "call.dtmf.received": (CallDtmfReceived, {"digit": read_text}),
    "streaming.started": (StreamingStarted, _STREAM),
    "streaming.stopped": (StreamingStopped, _STREAM),
    "streaming.failed": (
        StreamingFailed,
        {"failure_reason": read_text, "stream_id": read_text, "stream_type": read_text},
    ),
    "call.machine.detection.ended": (MachineDetectionEnded, {"result": read_text}),
    "call.machine.greeting.ended": (MachineGreetingEnded, {"result": read_text}),
    "call.machine.premium.detection.ended": (
        partial(MachineDetectionEnded, premium=True),
        {"result": read_text},
    ),
    "call.machine.premium.greeting.ended": (
        partial(MachineGreetingEnded, premium=True),
        {"result": read_text},
    ),
    "call.machine.premium.call_screening.detected": (CallScreeningDetected, {"result": read_text}),
    "call.playback.started": (PlaybackStarted, _PLAYED),
    "call.playback.ended": (
        PlaybackEnded,
        {**_PLAYED, "status": read_text, "status_detail": read_text},
    ),
    "call.speak.started": (SpeakStarted, {}),
    "call.speak.ended": (SpeakEnded, {"status": read_text}),
    "call.gather.ended": (GatherEnded, {"digits": read_text, "status": read_text}),
    "call.recording.saved": (
        RecordingSaved,
        {
            "recording_urls": _texts,
            "public_recording_urls": _texts,
            "channels": read_text,
            "recording_started_at": read_time,
            "recording_ended_at": read_time,
        },
    ),
    "call.recording.error": (RecordingError, {"reason": read_text}),
}
