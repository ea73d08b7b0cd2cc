"""The values that webhooks become: one frozen class per kind of event.

Every field but ``event_type`` may be missing, because Telnyx leaves out, or sends as null, what
does not apply; what is missing is None. Sets of words (states, causes, results) are open: Telnyx
adds to them without notice, so they are plain text here.

Source: the webhook types of Telnyx's Python SDK 4.189 (``types/call_*.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class WebhookEvent:
    """An event; the class itself stands for every kind that has no class of its own.

    Its repr shows the kind and the ids alone: payloads hold phone numbers, digits that may be
    secret, and links to recordings.

    Attributes:
        event_type: as Telnyx documents it, such as "call.answered" or "streaming.started".
        id: of the event, the same in every delivery of it.
        occurred_at: aware, in UTC. Telnyx promises no order of delivery: this tells the order.
        call_control_id: names the leg in commands. It may differ from the one in a dial reply.
        call_leg_id: names the leg.
        call_session_id: shared by all legs of one call, such as both of a transfer.
        connection_id: the Call Control application.
        client_state: base64, as it was set.
        from_number: ``from`` of the payload: E.164 or a SIP URI.
        to_number: ``to`` of the payload.
        payload: all that Telnyx sent about the event, every WebSocket URL in it cut after the host.
        attempt: the count of this delivery, from 1.
    """

    event_type: str
    id: str | None = None
    occurred_at: datetime | None = None
    call_control_id: str | None = None
    call_leg_id: str | None = None
    call_session_id: str | None = None
    connection_id: str | None = None
    client_state: str | None = None
    from_number: str | None = None
    to_number: str | None = None
    payload: Mapping[str, Any] = field(default_factory=dict, hash=False)
    attempt: int = 1

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.event_type} id={self.id}"
            f" call_control_id={self.call_control_id} call_leg_id={self.call_leg_id}>"
        )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CallInitiated(WebhookEvent):
    """A leg came into being: one that reaches us, or one that we placed.

    Attributes:
        direction: "incoming" or "outgoing"; only an incoming leg can be answered.
        state: "parked" or "bridging".
        caller_id_name: as the network gives it.
    """

    direction: str | None = None
    state: str | None = None
    caller_id_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CallAnswered(WebhookEvent):
    """The leg was answered."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CallBridged(WebhookEvent):
    """The leg was connected to another; each of the two has its own event."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CallHangup(WebhookEvent):
    """The leg ended.

    Attributes:
        hangup_cause: such as "normal_clearing" or "user_busy".
        hangup_source: "caller", "callee" or "unknown".
        sip_hangup_cause: a SIP status as text, or "unspecified".
        call_quality_stats: per direction; all figures are text. Empty when Telnyx gives none.
        start_time: of the leg, aware, in UTC.
    """

    hangup_cause: str | None = None
    hangup_source: str | None = None
    sip_hangup_cause: str | None = None
    call_quality_stats: Mapping[str, Any] = field(default_factory=dict, hash=False)
    start_time: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CallDtmfReceived(WebhookEvent):
    """The far party pressed a key.

    Attributes:
        digit: one of 0-9, A-D, ``*``, ``#``.
    """

    digit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class StreamingStarted(WebhookEvent):
    """Telnyx opened the media socket.

    Attributes:
        stream_id: of the media stream; Telnyx may leave it out.
        stream_url: cut after the host.
    """

    stream_id: str | None = None
    stream_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class StreamingStopped(WebhookEvent):
    """The media stream ended; the call may go on.

    Attributes:
        stream_id: of the media stream; Telnyx may leave it out.
        stream_url: cut after the host.
    """

    stream_id: str | None = None
    stream_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class StreamingFailed(WebhookEvent):
    """Telnyx could not open the media socket, or lost it; the call is silent but up.

    Attributes:
        failure_reason: in Telnyx's words.
        stream_id: of the media stream.
        stream_type: "websocket" or "dialogflow".
    """

    failure_reason: str | None = None
    stream_id: str | None = None
    stream_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class MachineDetectionEnded(WebhookEvent):
    """It was found out who answered.

    Attributes:
        result: "human", "machine", "not_sure"; premium: "human_residence", "human_business",
            "machine", "silence", "fax_detected", "not_sure".
        premium: which of the two detections it was.
    """

    result: str | None = None
    premium: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class MachineGreetingEnded(WebhookEvent):
    """An answering machine has finished its greeting.

    Attributes:
        result: "beep_detected", "ended", "not_sure"; premium: "beep_detected", "no_beep_detected",
            "prompt_ended".
        premium: which of the two detections it was.
    """

    result: str | None = None
    premium: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CallScreeningDetected(WebhookEvent):
    """The callee's phone asks who is calling and why.

    Attributes:
        result: "screening".
    """

    result: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PlaybackStarted(WebhookEvent):
    """Telnyx began to play a file.

    Attributes:
        media_url: of the file, or None if it was named.
        media_name: of the file, or None if it was given by URL.
    """

    media_url: str | None = None
    media_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PlaybackEnded(WebhookEvent):
    """Telnyx finished playing a file, or gave up.

    Attributes:
        media_url: of the file, or None if it was named.
        media_name: of the file, or None if it was given by URL.
        status: "completed", "call_hangup", "cancelled", "file_not_found", "failed", ...
        status_detail: in Telnyx's words.
    """

    media_url: str | None = None
    media_name: str | None = None
    status: str | None = None
    status_detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SpeakStarted(WebhookEvent):
    """Telnyx began to speak a text."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SpeakEnded(WebhookEvent):
    """Telnyx finished speaking a text.

    Attributes:
        status: "completed", "call_hangup" or "cancelled_amd".
    """

    status: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class GatherEnded(WebhookEvent):
    """A ``gather`` command ended.

    Attributes:
        digits: that were pressed.
        status: "valid", "invalid", "timeout", "call_hangup", "cancelled", ...
    """

    digits: str | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RecordingSaved(WebhookEvent):
    """A recording can be fetched; its links live for ten minutes.

    Attributes:
        recording_urls: link by format ("mp3", "wav").
        public_recording_urls: the same, for recordings that are public.
        channels: "single" or "dual".
        recording_started_at: aware, in UTC.
        recording_ended_at: aware, in UTC.
    """

    recording_urls: Mapping[str, str] = field(default_factory=dict, hash=False)
    public_recording_urls: Mapping[str, str] = field(default_factory=dict, hash=False)
    channels: str | None = None
    recording_started_at: datetime | None = None
    recording_ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RecordingError(WebhookEvent):
    """A recording failed.

    Attributes:
        reason: in Telnyx's words.
    """

    reason: str | None = None
