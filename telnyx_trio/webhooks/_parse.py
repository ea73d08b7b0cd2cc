"""From the body of a webhook to its typed event. How events look is in ``_events``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, TypeAlias

import msgspec

from .._errors import InvalidWebhook
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
        occurred_at=_time(data.get("occurred_at")),
        call_control_id=_text(payload.get("call_control_id")),
        call_leg_id=_text(payload.get("call_leg_id")),
        call_session_id=_text(payload.get("call_session_id")),
        connection_id=_text(payload.get("connection_id")),
        client_state=_text(payload.get("client_state")),
        from_number=_text(payload.get("from")),
        to_number=_text(payload.get("to")),
        payload=payload,
        attempt=attempt if type(attempt) is int else 1,
        **{name: read(payload.get(name)) for name, read in readers.items()},
    )


def _text(value: object) -> str | None:
    """Take text; an empty one says no more than a null."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value else None


def _time(value: object) -> datetime | None:
    """Read ISO 8601; a time without zone is UTC, as all of Telnyx's are."""
    if not isinstance(value, str):
        return None
    try:
        time = datetime.fromisoformat(value)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


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

_PLAYED: Final[Mapping[str, _Reader]] = {"media_url": _text, "media_name": _text}
_STREAM: Final[Mapping[str, _Reader]] = {"stream_id": _text, "stream_url": _text}

# Which class an event type has, and how the fields beyond the common ones are read.
_EVENTS: Final[Mapping[str, tuple[_EventFactory, Mapping[str, _Reader]]]] = {
    "call.initiated": (
        CallInitiated,
        {"direction": _text, "state": _text, "caller_id_name": _text},
    ),
    "call.answered": (CallAnswered, {}),
    "call.bridged": (CallBridged, {}),
    "call.hangup": (
        CallHangup,
        {
            "hangup_cause": _text,
            "hangup_source": _text,
            "sip_hangup_cause": _text,
            "call_quality_stats": _mapping,
            "start_time": _time,
        },
    ),
    "call.dtmf.received": (CallDtmfReceived, {"digit": _text}),
    "streaming.started": (StreamingStarted, _STREAM),
    "streaming.stopped": (StreamingStopped, _STREAM),
    "streaming.failed": (
        StreamingFailed,
        {"failure_reason": _text, "stream_id": _text, "stream_type": _text},
    ),
    "call.machine.detection.ended": (MachineDetectionEnded, {"result": _text}),
    "call.machine.greeting.ended": (MachineGreetingEnded, {"result": _text}),
    "call.machine.premium.detection.ended": (
        partial(MachineDetectionEnded, premium=True),
        {"result": _text},
    ),
    "call.machine.premium.greeting.ended": (
        partial(MachineGreetingEnded, premium=True),
        {"result": _text},
    ),
    "call.machine.premium.call_screening.detected": (CallScreeningDetected, {"result": _text}),
    "call.playback.started": (PlaybackStarted, _PLAYED),
    "call.playback.ended": (PlaybackEnded, {**_PLAYED, "status": _text, "status_detail": _text}),
    "call.speak.started": (SpeakStarted, {}),
    "call.speak.ended": (SpeakEnded, {"status": _text}),
    "call.gather.ended": (GatherEnded, {"digits": _text, "status": _text}),
    "call.recording.saved": (
        RecordingSaved,
        {
            "recording_urls": _texts,
            "public_recording_urls": _texts,
            "channels": _text,
            "recording_started_at": _time,
            "recording_ended_at": _time,
        },
    ),
    "call.recording.error": (RecordingError, {"reason": _text}),
}
