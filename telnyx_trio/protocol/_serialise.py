"""One message to one JSON text, as Telnyx spells it: counters as strings, absent fields left out.

Media of ours is the hot path (50 a second and call), so its JSON is put together from a fixed
beginning and the base64; everything else is a small dictionary.
"""

from __future__ import annotations

from binascii import b2a_base64

import msgspec

from .._errors import LocalProtocolError
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


def serialise(message: Message | Command) -> str:
    """Write one message, of either direction, as JSON text.

    Raises:
        LocalProtocolError: a text in it cannot be written as UTF-8 (lone surrogates).
    """
    if type(message) is SendMedia:
        return serialise_media(media_prefix(message.stream_id), message.payload)
    return _encode(_as_object(message))


def media_prefix(stream_id: str | None) -> str:
    """Return all that comes before the base64 in a ``media`` message of ours.

    Raises:
        LocalProtocolError: ``stream_id`` cannot be written as UTF-8.
    """
    named = "" if stream_id is None else f'"stream_id":{_encode(stream_id)},'
    return f'{{"event":"media",{named}"media":{{"payload":"'


def serialise_media(prefix: str, payload: bytes) -> str:
    """Write a ``media`` message of ours. ``prefix`` is from :func:`media_prefix`."""
    return f'{prefix}{b2a_base64(payload, newline=False).decode("ascii")}"}}}}'


def _as_object(message: Message | Command) -> dict[str, object]:
    match message:
        case Media():
            return _object(
                event="media",
                sequence_number=_counter(message.sequence_number),
                stream_id=message.stream_id,
                media=_object(
                    track=message.track,
                    chunk=_counter(message.chunk),
                    timestamp=_counter(message.timestamp),
                    payload=message.payload,
                ),
            )
        case SendMedia():
            return _object(
                event="media",
                stream_id=message.stream_id,
                media=_object(payload=message.payload),
            )
        case SendMark():
            return _object(event="mark", mark=_object(name=message.name))
        case SendClear():
            return _object(event="clear")
        case Connected():
            return _object(event="connected", version=message.version)
        case Start():
            return _start_object(message)
        case Dtmf():
            return _object(
                event="dtmf",
                sequence_number=_counter(message.sequence_number),
                stream_id=message.stream_id,
                occurred_at=message.occurred_at,
                dtmf=_object(digit=message.digit),
            )
        case Mark():
            return _object(
                event="mark",
                sequence_number=_counter(message.sequence_number),
                stream_id=message.stream_id,
                mark=_object(name=message.name),
            )
        case Error():
            return _object(
                event="error",
                stream_id=message.stream_id,
                payload=_object(code=message.code, title=message.title, detail=message.detail),
            )
        case Stop():
            return _object(
                event="stop",
                sequence_number=_counter(message.sequence_number),
                stream_id=message.stream_id,
                stop=_object(
                    user_id=message.user_id,
                    call_control_id=message.call_control_id,
                    reason=message.reason,
                ),
            )
        case UnknownMessage():
            return _object(event=message.event)


def _start_object(message: Start) -> dict[str, object]:
    media_format = message.media_format
    body = _object(
        user_id=message.user_id,
        call_control_id=message.call_control_id,
        call_session_id=message.call_session_id,
        to=message.to_number,
        tags=message.tags,
        client_state=message.client_state,
        custom_parameters=dict(message.custom_parameters),
        media_format=_object(
            encoding=media_format.encoding,
            sample_rate=media_format.sample_rate,
            channels=media_format.channels,
        ),
    )
    # A withheld number is null on the wire, not absent.
    body["from"] = message.from_number
    return _object(
        event="start",
        sequence_number=_counter(message.sequence_number),
        stream_id=message.stream_id,
        start=body,
    )


def _object(**fields: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}


def _counter(value: int | None) -> str | None:
    return None if value is None else str(value)


def _encode(value: object) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError:
        problem = "a text in this message cannot be written as UTF-8"
    # Outside of the handler, so that the error does not carry the message along as its context.
    raise LocalProtocolError(problem)
