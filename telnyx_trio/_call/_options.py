"""How a call is run: the options of ``open_call``, and what they are unless told otherwise."""

from __future__ import annotations

from typing import Final, TypedDict

from .._types import (
    IdleAudio,
    MissingAudio,
    SendMode,
    TelnyxMediaFormat,
    TrackSelection,
    WireByteOrder,
)
from ..audio import VoiceActivity

MAX_DURATION: Final = 14_400.0
"""Seconds; the longest that Telnyx lets a call last (``time_limit_secs`` of dial)."""

END_GRACE: Final = 10.0
TEARDOWN_TIMEOUT: Final = 5.0


class CallOptions(TypedDict, total=False):
    """How a call is run; all optional.

    Attributes:
        track: media track to receive: "inbound" (default), "outbound" or "both".
        send_format: what Telnyx was asked to take from us; PCMU at 8000 Hz by default.
        send_mode: "rtp" (default), or "mp3" when Telnyx was asked for it.
        byteorder: of L16 on the wire: "auto" (default), "little" or "big".
        lead: seconds that sent audio runs ahead of real time, 0.4 by default.
        idle_audio: what is sent while there is nothing else: "none" (default), "silence", or
            "noise", which is faint.
        missing_audio: what takes the place of received packets that never came: "conceal"
            (default), the last of the voice that fades, or "silence".
        voice_activity: what tells when the far party speaks: ``VoiceGate``, or whatever else makes
            a ``VoiceActivityDetector`` for a sample rate; None (default) until something needs it.
        in_band_dtmf: whether key presses are also listened for as tones in the caller's audio, for
            lines that tell of them in no other way; off by default.
        start_timeout: seconds until ``start`` must have come, 10 by default.
        silence_timeout: seconds without any media message that end the call, 30 by default.
        max_duration: seconds after which we hang up, 14400 by default.
        end_grace: seconds that the body has once the call has ended under it, 10 by default; at 0
            it is cancelled at once.
        teardown_timeout: seconds that closing and hanging up may take, 5 by default.
    """

    track: TrackSelection
    send_format: TelnyxMediaFormat
    send_mode: SendMode
    byteorder: WireByteOrder
    lead: float
    idle_audio: IdleAudio
    missing_audio: MissingAudio
    voice_activity: VoiceActivity | None
    in_band_dtmf: bool
    start_timeout: float
    silence_timeout: float
    max_duration: float
    end_grace: float
    teardown_timeout: float
