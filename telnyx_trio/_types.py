"""Plain values that every layer shares: names of codecs and tracks, the media format, limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

Encoding: TypeAlias = Literal["PCMU", "PCMA", "L16", "G722", "OPUS"]
"""A codec that we encode and decode, as Telnyx spells it. G722 and OPUS need the extra [codecs]."""

ReceivedEncoding: TypeAlias = Literal["PCMU", "PCMA", "L16", "G722", "OPUS", "AMR-WB"]
"""A codec that we decode. AMR-WB needs the extra [codecs] too, which brings no encoder for it."""

Track: TypeAlias = Literal["inbound", "outbound"]
"""``media.track`` on the wire: inbound comes from the far party, outbound is played to it."""

TrackSelection: TypeAlias = Literal["inbound", "outbound", "both"]

SendMode: TypeAlias = Literal["rtp", "mp3"]
"""What a call sends all its life: audio in real time, or whole MP3 files."""

ByteOrder: TypeAlias = Literal["big", "little"]

MissingAudio: TypeAlias = Literal["conceal", "silence"]
"""What takes the place of received packets that never came."""

IdleAudio: TypeAlias = Literal["none", "silence", "noise"]
WireByteOrder: TypeAlias = Literal["auto", "big", "little"]
"""L16 on the media socket: fixed, or found out from the first voiced audio."""

TELNYX_DEFAULT_SAMPLE_RATE: Final = 8000
"""PCMU and PCMA, in Hz."""

TELNYX_L16_SAMPLE_RATE: Final = 16000
"""L16 on a Telnyx media socket when nothing else is said, in Hz. What OPUS is sent at, too."""

DTMF_DIGITS: Final = frozenset("0123456789ABCD*#")
"""The keys of a phone (ITU-T Q.23)."""

_FIXED_RATES: Final[Mapping[str, int]] = {"G722": 16000, "AMR-WB": 16000, "OPUS": 48000}

PTIME_MS: Final = 20
"""Length of one packet (RFC 8866 ptime). 20 ms is also the least that Telnyx takes in one message
(developers.telnyx.com, "Media streaming over WebSockets", read 2026-04)."""

PTIME: Final = PTIME_MS / 1000
"""The same in seconds."""

MAX_MESSAGE_SIZE_BYTES: Final = 2 * 1024 * 1024
"""Largest WebSocket message taken. The largest that Telnyx documents is 30 s of audio; as L16 at
16 kHz in base64 that is 1.28 MB."""

MAX_BODY_SIZE_BYTES: Final = 1024 * 1024
"""Largest HTTP body taken. Webhooks seen are under 10 kB."""

EVENTS_PATH: Final = "/telnyx/events"
MEDIA_PATH: Final = "/telnyx/media"
STREAMING_AUTH_HEADER: Final = "x-telnyx-streaming-auth-token"


@dataclass(frozen=True)
class TelnyxMediaFormat:
    """How audio is coded in one direction of a media stream.

    Attributes:
        encoding: "PCMU", "PCMA", "L16", "G722", "OPUS", "AMR-WB", or whatever else Telnyx names.
        sample_rate: in Hz. Of the RTP clock, which is not that of the audio for every codec: see
            ``audio_sample_rate``.
        channels: 1 or 2.
    """

    encoding: str = "PCMU"
    sample_rate: int = TELNYX_DEFAULT_SAMPLE_RATE
    channels: int = 1

    @property
    def audio_sample_rate(self) -> int:
        """Rate of the samples that a payload is decoded to, in Hz.

        It is ``sample_rate``, but for three codecs the rate of which is fixed: G722 codes 16000 Hz,
        though RFC 3551 (section 4.5.2) gives it, by an old mistake, a clock of 8000; AMR-WB codes
        16000 Hz; OPUS is decoded at its own 48000 Hz, whatever it was made from.
        """
        return _FIXED_RATES.get(self.encoding.upper(), self.sample_rate)

    @property
    def audio_channels(self) -> int:
        """Channels of the samples that a payload is decoded to.

        It is ``channels``, but for the same three codecs, which are decoded to mono: OPUS is called
        two-channel whatever it holds (RFC 7587, section 7), the other two are used in mono alone.
        """
        return 1 if self.encoding.upper() in _FIXED_RATES else self.channels

    @classmethod
    def from_start_event(cls, data: Mapping[str, Any]) -> TelnyxMediaFormat:
        """Read the format out of a decoded ``start`` message; what is absent or null is PCMU mono.

        Raises:
            ValueError: a rate or a channel count is there and is no positive whole number.
        """
        start = data.get("start") or {}
        media_format = (start.get("media_format") or {}) if isinstance(start, Mapping) else {}
        encoding = str(media_format.get("encoding") or "PCMU").upper()
        default_rate = TELNYX_L16_SAMPLE_RATE if encoding == "L16" else TELNYX_DEFAULT_SAMPLE_RATE
        sample_rate = int(media_format.get("sample_rate") or default_rate)
        channels = int(media_format.get("channels") or 1)
        if sample_rate <= 0 or channels <= 0:
            raise ValueError(f"impossible media format: {sample_rate} Hz, {channels} channels")
        return cls(encoding, sample_rate, channels)
