"""One JSON text to one message, tolerant of what may vary and strict about what must hold.

One typed decode does nearly all of the work: the ``_Wire`` structs below spell the JSON as Telnyx
sends it, msgspec picks one by ``event``, turns base64 into bytes and counters in strings into ints,
and skips what is not named here. Only when that fails is the text read again, to learn whether its
event is unknown (which passes) or known and malformed.

Error texts tell the place and the type found there, by msgspec's words; the only values that they
show are a wrong ``track`` and a wrong ``event``, both cut. Of a ``connected`` message, which may
hold a token, and of a text that cannot be read at all, only the size is told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Annotated, Final, TypeAlias

import msgspec

from .._errors import RemoteProtocolError
from .._redact import cut, describe_size
from .._types import DTMF_DIGITS, TelnyxMediaFormat, Track
from ._messages import (
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
)

# Counters have no documented bound; what does not fit 63 bits is no counter.
_Counter = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]

# The highest rate in Telnyx's list is 48000; 192000 is the highest in common use.
_SampleRate = Annotated[int, msgspec.Meta(ge=1, le=192_000)]
_Channels = Annotated[int, msgspec.Meta(ge=1, le=2)]
_ANY_DIGIT: Final = re.escape("".join(sorted(DTMF_DIGITS)))
_Digit = Annotated[str, msgspec.Meta(pattern=rf"\A[{_ANY_DIGIT}]\Z")]

_NULL: Final = msgspec.Raw(b"null")

_TRACKS: Final[Mapping[str | None, Track]] = MappingProxyType(
    {
        None: "inbound",
        "inbound": "inbound",
        "inbound_track": "inbound",
        "outbound": "outbound",
        "outbound_track": "outbound",
    }
)


class _NamedParameter(msgspec.Struct):
    name: str
    value: msgspec.Raw = _NULL


class _MediaFormatBody(msgspec.Struct):
    encoding: str | None = None
    sample_rate: _SampleRate | None = None
    channels: _Channels | None = None


class _StartBody(msgspec.Struct, rename={"from_number": "from", "to_number": "to"}):
    call_control_id: str | None = None
    call_session_id: str | None = None
    user_id: str | None = None
    from_number: str | None = None
    to_number: str | None = None
    tags: list[str] | None = None
    client_state: str | None = None
    custom_parameters: dict[str, msgspec.Raw] | list[_NamedParameter] | None = None
    media_format: _MediaFormatBody | None = None


class _MediaBody(msgspec.Struct, gc=False):
    payload: bytes
    track: str | None = None
    chunk: _Counter | None = None
    timestamp: _Counter | None = None


class _DtmfBody(msgspec.Struct):
    digit: _Digit


class _MarkBody(msgspec.Struct):
    name: str


class _ErrorBody(msgspec.Struct):
    code: _Counter | None = None
    title: str | None = None
    detail: str | None = None


class _StopBody(msgspec.Struct):
    call_control_id: str | None = None
    user_id: str | None = None
    reason: str | None = None


class _SendMediaBody(msgspec.Struct, gc=False):
    payload: bytes


class _WireConnected(msgspec.Struct, tag_field="event", tag="connected"):
    version: str | None = None

    def message(self) -> Connected:
        return Connected(self.version)


class _WireStart(msgspec.Struct, tag_field="event", tag="start"):
    start: _StartBody | None = None
    sequence_number: _Counter | None = None
    stream_id: str | None = None

    def message(self) -> Start:
        body = self.start or _StartBody()
        return Start(
            stream_id=self.stream_id,
            call_control_id=body.call_control_id,
            call_session_id=body.call_session_id,
            user_id=body.user_id,
            from_number=body.from_number,
            to_number=body.to_number,
            tags=tuple(body.tags or ()),
            client_state=body.client_state,
            custom_parameters=_custom_parameters(body.custom_parameters),
            media_format=_media_format(body.media_format or _MediaFormatBody()),
            sequence_number=self.sequence_number,
        )


class _WireMedia(msgspec.Struct, tag_field="event", tag="media", gc=False):
    media: _MediaBody
    sequence_number: _Counter | None = None
    stream_id: str | None = None

    def message(self) -> Media:
        body = self.media
        track = _TRACKS.get(body.track)
        if track is None:
            raise RemoteProtocolError(f"unknown track '{cut(str(body.track), 20)}'", event="media")
        return Media(
            track, body.payload, body.chunk, body.timestamp, self.sequence_number, self.stream_id
        )


class _WireDtmf(msgspec.Struct, tag_field="event", tag="dtmf"):
    dtmf: _DtmfBody
    occurred_at: datetime | None = None
    sequence_number: _Counter | None = None
    stream_id: str | None = None

    def message(self) -> Dtmf:
        occurred_at = self.occurred_at
        if occurred_at is not None and occurred_at.tzinfo is None:
            occurred_at = occurred_at.replace(tzinfo=UTC)
        return Dtmf(self.dtmf.digit, occurred_at, self.sequence_number, self.stream_id)


class _WireMark(msgspec.Struct, tag_field="event", tag="mark"):
    mark: _MarkBody
    sequence_number: _Counter | None = None
    stream_id: str | None = None

    def message(self) -> Mark:
        return Mark(self.mark.name, self.sequence_number, self.stream_id)


class _WireError(msgspec.Struct, tag_field="event", tag="error"):
    payload: _ErrorBody | None = None
    stream_id: str | None = None

    def message(self) -> Error:
        body = self.payload or _ErrorBody()
        return Error(body.code, body.title or "", body.detail or "", self.stream_id)


class _WireStop(msgspec.Struct, tag_field="event", tag="stop"):
    stop: _StopBody | None = None
    sequence_number: _Counter | None = None
    stream_id: str | None = None

    def message(self) -> Stop:
        body = self.stop or _StopBody()
        return Stop(
            body.call_control_id, body.user_id, self.sequence_number, self.stream_id, body.reason
        )


class _WireSendMedia(msgspec.Struct, tag_field="event", tag="media", gc=False):
    media: _SendMediaBody
    stream_id: str | None = None

    def message(self) -> SendMedia:
        return SendMedia(self.media.payload, self.stream_id)


class _WireSendMark(msgspec.Struct, tag_field="event", tag="mark"):
    mark: _MarkBody

    def message(self) -> SendMark:
        return SendMark(self.mark.name)


class _WireSendClear(msgspec.Struct, tag_field="event", tag="clear"):
    def message(self) -> SendClear:
        return SendClear()


class _Envelope(msgspec.Struct):
    event: str


_WireMessage: TypeAlias = (
    _WireConnected | _WireStart | _WireMedia | _WireDtmf | _WireMark | _WireError | _WireStop
)
_WireCommand: TypeAlias = _WireSendMedia | _WireSendMark | _WireSendClear

# strict=False is what lets counters come as strings.
_message_decoder: Final[msgspec.json.Decoder[_WireMessage]] = msgspec.json.Decoder(
    _WireMessage, strict=False
)
_command_decoder: Final[msgspec.json.Decoder[_WireCommand]] = msgspec.json.Decoder(
    _WireCommand, strict=False
)
_envelope_decoder: Final = msgspec.json.Decoder(_Envelope)

_MESSAGE_EVENTS: Final = frozenset({"connected", "start", "media", "dtmf", "mark", "error", "stop"})
_COMMAND_EVENTS: Final = frozenset({"media", "mark", "clear"})

# What msgspec raises for a bad text: its own errors; a text with lone surrogates; deep nesting.
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeEncodeError, RecursionError)


def parse_message(text: str) -> Message:
    """Read one message from Telnyx.

    Args:
        text: one WebSocket text message. Its size is bounded by the transport.

    Raises:
        RemoteProtocolError: it is no JSON object with a text as ``event``, or its event is known
            and a known field of it is missing or malformed. No other error leaves.
    """
    try:
        return _message_decoder.decode(text).message()
    except _UNREADABLE as error:
        problem = _describe(error)
    # Outside of the handler, so that no error carries the text along as its context.
    event = _read_event(text)
    if event not in _MESSAGE_EVENTS:
        return UnknownMessage(event)
    if event == "connected":
        problem = f"malformed, {describe_size(text)}"
    raise RemoteProtocolError(problem, event=event)


def parse_command(text: str) -> Command:
    """Read one message to Telnyx, as Telnyx's side does.

    Args:
        text: one WebSocket text message. Its size is bounded by the transport.

    Raises:
        RemoteProtocolError: it is no JSON object with a text as ``event``, its event is none of
            media, mark and clear, or a known field is missing or malformed.
    """
    try:
        return _command_decoder.decode(text).message()
    except _UNREADABLE as error:
        problem = _describe(error)
    event = _read_event(text)
    if event not in _COMMAND_EVENTS:
        problem = "no message to Telnyx is called so"
    raise RemoteProtocolError(problem, event=cut(event, 20))


def _read_event(text: str) -> str:
    """Read the name of a message that could not be read as a known one."""
    try:
        return _envelope_decoder.decode(text).event
    except msgspec.ValidationError:
        problem = "no JSON object with a text as `event`"
    except RecursionError:
        problem = "nested too deeply"
    except (msgspec.DecodeError, UnicodeEncodeError):
        problem = "not JSON"
    raise RemoteProtocolError(f"{problem}, {describe_size(text)}")


def _describe(error: Exception) -> str:
    """Tell what is wrong, without quoting the text."""
    problem = str(error) if isinstance(error, msgspec.ValidationError) else ""
    # "Invalid value" is the one text of msgspec's that quotes: an `event`, where there are two.
    return "malformed" if not problem or problem.startswith("Invalid value") else cut(problem)


def _custom_parameters(
    parameters: Mapping[str, msgspec.Raw] | list[_NamedParameter] | None,
) -> Mapping[str, str]:
    """Bring both spellings, an object and a list of name and value, to one of texts only."""
    if isinstance(parameters, list):
        parameters = {parameter.name: parameter.value for parameter in parameters}
    return MappingProxyType(
        {
            name: msgspec.json.decode(raw, type=str) if raw[:1] == b'"' else raw.decode()
            for name, value in (parameters or {}).items()
            if (raw := bytes(value)) != b"null"
        }
    )


def _media_format(body: _MediaFormatBody) -> TelnyxMediaFormat:
    """Fill in what is absent. The values were checked when they were decoded."""
    media_format = msgspec.structs.asdict(body)
    return TelnyxMediaFormat.from_start_event({"start": {"media_format": media_format}})
