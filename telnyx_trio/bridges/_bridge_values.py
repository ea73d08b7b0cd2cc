"""What a bridge into a Stream call tells: who is there, and how the audio fares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ._clock_buffer import ClockBufferStatistics

BridgeEnd: TypeAlias = Literal["phone", "stream_call", "left"]
"""Who ended a bridge: the phone hung up or its media stream ended, the Stream call ended for
everybody, or you left, as also when the connection was lost."""


@dataclass(frozen=True)
class StreamParticipant:
    """Somebody in a Stream call.

    Attributes:
        user_id: of the user; one user may be in a call several times.
        session_id: of this one time.
        name: as it is shown; may be empty.
    """

    user_id: str
    session_id: str
    name: str = ""


@dataclass(frozen=True)
class StreamParticipantJoined:
    """Somebody is in the Stream call: has come, or was there when the phone came."""

    participant: StreamParticipant


@dataclass(frozen=True)
class StreamParticipantLeft:
    """Somebody has left the Stream call."""

    participant: StreamParticipant


BridgeEvent: TypeAlias = StreamParticipantJoined | StreamParticipantLeft


@dataclass(frozen=True)
class StreamBridgeStatistics:
    """How the audio of a bridge fares.

    Attributes:
        to_stream: between the phone's clock and ours.
        speakers: between each speaker's clock and ours, by ``session_id``.
        backlog: seconds until what is sent to the phone now would be heard.
        dropped: seconds that were not sent to the phone, to keep ``max_delay``.
    """

    to_stream: ClockBufferStatistics
    speakers: Mapping[str, ClockBufferStatistics]
    backlog: float
    dropped: float
