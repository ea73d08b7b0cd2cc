"""What a media stream tells besides audio, as values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from ._errors import StreamError


@dataclass(frozen=True)
class DtmfReceived:
    """The far party pressed a key.

    Attributes:
        digit: one of 0-9, A-D, *, #.
        occurred_at: when, by Telnyx's clock; None if it did not say.
        source: the way it came: on the media socket, by webhook, or as a tone in the audio, if
            somebody listens for those. In a call, a press that comes several ways is told once.
    """

    digit: str
    occurred_at: datetime | None = None
    source: Literal["media", "webhook", "in_band"] = "media"


@dataclass(frozen=True)
class MarkReturned:
    """Telnyx has done with all audio sent before the mark.

    Attributes:
        name: as given to ``send_mark``.
        cleared: False when that audio was played, True when a ``clear`` of ours threw it away.
    """

    name: str
    cleared: bool = False


@dataclass(frozen=True)
class StreamErrorReceived:
    """Telnyx complained about something we sent; the stream goes on.

    Attributes:
        error: code, title and detail.
    """

    error: StreamError


@dataclass(frozen=True)
class SpeechStarted:
    """The far party has begun to speak.

    Attributes:
        at: when, in seconds of received audio: of ``call.received``, from its beginning. It is
            where speech began, not where that was known.
        detected_at: when it was known, on the same clock.
    """

    at: float
    detected_at: float


@dataclass(frozen=True)
class SpeechEnded:
    """The far party has ceased to speak.

    Attributes:
        at: when, in seconds of received audio, as for ``SpeechStarted``.
        detected_at: when it was known, on the same clock.
    """

    at: float
    detected_at: float


StreamEvent: TypeAlias = (
    DtmfReceived | MarkReturned | SpeechEnded | SpeechStarted | StreamErrorReceived
)
