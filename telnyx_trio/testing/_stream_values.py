"""What a media stream is asked for, and what is counted on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .._types import Track
from ._codecs import Codec


@dataclass(frozen=True)
class StreamRequest:
    """What a command asked of the media stream.

    Attributes:
        url: where the media socket goes. A secret, as are the token and the parameters.
        tracks: sent to the server, in this order.
        receive_codec: of what the server receives.
        send_codec: of what the server sends; None without ``stream_bidirectional_mode: rtp``, and
            then whole MP3 files are played, and nothing else.
        auth_token: for the handshake header and the ``connected`` message.
        custom_parameters: for ``start``.
        before_answer: open the socket while the call still rings.
    """

    url: str = field(repr=False)
    tracks: Sequence[Track] = ("inbound",)
    receive_codec: Codec = field(default_factory=lambda: Codec("PCMU"))
    send_codec: Codec | None = None
    auth_token: str | None = field(default=None, repr=False)
    custom_parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    before_answer: bool = False


@dataclass
class LegCounters:
    """What has been counted on a leg's media sockets, all streams together.

    Attributes:
        packets_sent: ``media`` messages to the server, both tracks.
        late_packets: of those, more than 20 ms behind their time: this process was too slow.
        packets_lost, packets_repeated, packets_delayed: of those, by the phone's ``impairments``.
        packets_received: ``media`` messages played to the caller.
        short_packets: of those, shorter than 20 ms.
        odd_payloads: of those, L16 with half a sample at the end, which was dropped.
        files_received: MP3 files played to the caller.
        refused_packets: not played: no MP3 in mp3 mode, no base64, too long, too early, queue full.
        marks_received: taken from the server.
        marks_returned: sent back, played or cleared.
        clears: ``clear`` messages taken.
        errors_sent: ``error`` messages to the server.
        dropped_messages: not sent because the server did not read.
        arrivals: when each played packet came, in seconds since the media started.
    """

    packets_sent: int = 0
    late_packets: int = 0
    packets_lost: int = 0
    packets_repeated: int = 0
    packets_delayed: int = 0
    packets_received: int = 0
    short_packets: int = 0
    odd_payloads: int = 0
    files_received: int = 0
    refused_packets: int = 0
    marks_received: int = 0
    marks_returned: int = 0
    clears: int = 0
    errors_sent: int = 0
    dropped_messages: int = 0
    arrivals: list[float] = field(default_factory=list, repr=False)
