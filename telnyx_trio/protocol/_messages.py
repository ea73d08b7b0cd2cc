"""The messages of a media stream: one frozen value per message, each way.

Field names are those of the wire, except ``from_number`` and ``to_number`` (``from`` is a Python
keyword). Everything that Telnyx may leave out is None.

Source of shapes and names: developers.telnyx.com, "Media streaming over WebSockets" and its
AsyncAPI page, read 2026-04.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import TypeAlias

import msgspec

from .._types import TelnyxMediaFormat, Track


class Connected(msgspec.Struct, frozen=True):
    """Telnyx has opened the socket. The first message; it has no sequence number.

    The authentication token that it may carry is not kept.
    """

    version: str | None = None


class Start(msgspec.Struct, frozen=True):
    """The call is answered and its media follow.

    Attributes:
        stream_id: of this media stream.
        call_control_id: of the leg. Webhooks may name the same leg by another id.
        call_session_id: of the call that the leg belongs to.
        user_id: of the Telnyx account.
        from_number: E.164 number or SIP URI; None when withheld.
        to_number: E.164 number or SIP URI.
        tags: of the call control application.
        client_state: base64, as it was given with the command.
        custom_parameters: as given with ``streaming_start``; read-only. Its values are text:
            numbers and booleans are kept as their JSON text, nulls are left out.
        media_format: of the media that we receive. What we send is coded as it was asked for.
        sequence_number: of this message within the stream.
    """

    stream_id: str | None = None
    call_control_id: str | None = None
    call_session_id: str | None = None
    user_id: str | None = None
    from_number: str | None = None
    to_number: str | None = None
    tags: tuple[str, ...] = ()
    client_state: str | None = None
    custom_parameters: Mapping[str, str] = MappingProxyType({})
    media_format: TelnyxMediaFormat = TelnyxMediaFormat()
    sequence_number: int | None = None


class Media(msgspec.Struct, frozen=True, gc=False):
    """One packet of audio.

    Attributes:
        track: whose voice it is.
        payload: RTP payload without RTP header, coded as ``Start.media_format`` says. Any length,
            also none.
        chunk: counts the media messages of a track; may come out of order.
        timestamp: unit and epoch are not documented.
        sequence_number: counts all messages of the stream.
        stream_id: of the media stream.
    """

    track: Track
    payload: bytes
    chunk: int | None = None
    timestamp: int | None = None
    sequence_number: int | None = None
    stream_id: str | None = None


class MissingMedia(msgspec.Struct, frozen=True, gc=False):
    """Media messages that never came in time; it takes their place in the order.

    Attributes:
        track: whose voice it was.
        n_packets: how many.
    """

    track: Track
    n_packets: int


class Dtmf(msgspec.Struct, frozen=True):
    """The far party pressed a key.

    Attributes:
        digit: one of ``0-9A-D*#``.
        occurred_at: when, with a time zone. Key presses may come out of order.
        sequence_number: counts all messages of the stream.
        stream_id: of the media stream.
    """

    digit: str
    occurred_at: datetime | None = None
    sequence_number: int | None = None
    stream_id: str | None = None


class Mark(msgspec.Struct, frozen=True):
    """A mark of ours came back: what we sent before it was played, or thrown away by a clear.

    Attributes:
        name: as sent.
        sequence_number: counts all messages of the stream.
        stream_id: of the media stream.
    """

    name: str
    sequence_number: int | None = None
    stream_id: str | None = None


class Error(msgspec.Struct, frozen=True):
    """Telnyx complains about the stream or about one message of ours. It need not be the end.

    Attributes:
        code: 100002 unknown_error, 100003 malformed_frame, 100004 invalid_media,
            100005 rate_limit_reached; an open set.
        title: name of the code.
        detail: a sentence for people.
        stream_id: of the media stream.
    """

    code: int | None = None
    title: str = ""
    detail: str = ""
    stream_id: str | None = None


class Stop(msgspec.Struct, frozen=True):
    """The stream is over; Telnyx sends nothing after it and closes the socket.

    Attributes:
        call_control_id: of the leg.
        user_id: of the Telnyx account.
        sequence_number: counts all messages of the stream.
        stream_id: of the media stream.
        reason: not documented; kept when it is there.
    """

    call_control_id: str | None = None
    user_id: str | None = None
    sequence_number: int | None = None
    stream_id: str | None = None
    reason: str | None = None


class UnknownMessage(msgspec.Struct, frozen=True):
    """A message of a kind that this library does not know, to be passed over.

    Attributes:
        event: its name, as received.
    """

    event: str


class SendMedia(msgspec.Struct, frozen=True, gc=False):
    """Play this after what is queued at Telnyx.

    Attributes:
        payload: RTP payload without RTP header, in the codec that was asked for as
            ``stream_bidirectional_codec``; 20 ms to 30 s of audio.
        stream_id: of the media stream; optional on the wire.
    """

    payload: bytes
    stream_id: str | None = None


class SendMark(msgspec.Struct, frozen=True):
    """Send a :class:`Mark` of this name back when all that was queued before it has been played."""

    name: str


class SendClear(msgspec.Struct, frozen=True):
    """Stop playing, empty the queue and return all pending marks."""


Message: TypeAlias = Connected | Start | Media | Dtmf | Mark | Error | Stop | UnknownMessage
"""What Telnyx sends."""

Received: TypeAlias = Message | MissingMedia
"""What is to be handled: what Telnyx sends, in order, and what is missing of it."""

Command: TypeAlias = SendMedia | SendMark | SendClear
"""What is sent to Telnyx."""
