"""What is told of a media stream as a whole: how it ended, and its counters."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from math import inf

import trio

from ._outbox import Outbox
from ._playout import Playout
from ._receiver import Receiver
from ._types import ByteOrder


class StreamEnd(enum.Enum):
    """How ``MediaStream.run`` came to a normal end."""

    STOPPED = "stopped"
    """Telnyx sent ``stop``: the call ended, or streaming was stopped."""
    CLOSED = "closed"
    """``close`` was called."""


@dataclass(frozen=True)
class MediaStreamStatistics:
    """Counters of one media stream, from its start to now.

    Attributes:
        messages_received: WebSocket messages, of whatever kind.
        packets_received: media messages of the tracks asked for, duplicates and late ones excluded.
        packets_sent: media messages sent, each of 20 ms.
        files_sent: MP3 files sent, in mp3 mode.
        late: media messages that came after their place had been given up.
        duplicates: media messages that came again.
        missing: media messages that never came in time.
        concealed: media messages, missing or undecodable, in whose place audio was made up
            (silence, if that was asked for).
        malformed: messages that could not be read.
        undecodable: media messages that their codec could make nothing of.
        refused: messages that were out of place, such as a second ``start``.
        audio_dropped: received packets that nobody read in time.
        events_dropped: events that nobody read in time.
        audio_buffered: seconds of received audio that wait to be read.
        audio_held: seconds of received audio that wait for a media message that is missing.
        reorder_patience: seconds that they wait at most, as it was learnt.
        audio_queued: seconds of audio that were given to be sent and are not converted yet.
        playout_ahead: seconds of sent audio that Telnyx has yet to play.
        underruns: gaps inside of playbacks, because their source, or this process, was too slow.
        marks_missing: playbacks whose end counts as heard though Telnyx did not tell.
        receive_byteorder: order in which L16 is read; None for other codecs, or not known yet.
        receive_byteorder_locked: whether that is final.
        send_byteorder: order in which L16 is sent; None for other codecs.
    """

    messages_received: int
    packets_received: int
    packets_sent: int
    files_sent: int
    late: int
    duplicates: int
    missing: int
    concealed: int
    malformed: int
    undecodable: int
    refused: int
    audio_dropped: int
    events_dropped: int
    audio_buffered: float
    audio_held: float
    reorder_patience: float
    audio_queued: float
    playout_ahead: float
    underruns: int
    marks_missing: int
    receive_byteorder: ByteOrder | None
    receive_byteorder_locked: bool
    send_byteorder: ByteOrder | None


def take_statistics(
    receiver: Receiver, outbox: Outbox, playout: Playout, files_sent: int
) -> MediaStreamStatistics:
    """Read the counters of a stream's parts as they stand."""
    counters = receiver.connection.counters
    tracks = [track.statistics() for track in receiver.audio_tracks.values()]
    return MediaStreamStatistics(
        messages_received=counters.messages + counters.malformed + counters.refused,
        packets_received=receiver.packets,
        packets_sent=outbox.packets_sent,
        files_sent=files_sent,
        late=counters.late,
        duplicates=counters.duplicates,
        missing=counters.missing,
        concealed=receiver.made_up,
        malformed=counters.malformed,
        undecodable=receiver.undecodable,
        refused=counters.refused,
        audio_dropped=sum(track.dropped for track in tracks),
        events_dropped=receiver.events.statistics().dropped,
        audio_buffered=sum(track.buffered_size for track in tracks),
        audio_held=receiver.audio_held,
        reorder_patience=receiver.connection.reorder_patience,
        audio_queued=outbox.queued,
        playout_ahead=playout.ahead(_now()),
        underruns=outbox.underruns,
        marks_missing=outbox.marks_missing,
        receive_byteorder=receiver.byteorder,
        receive_byteorder_locked=receiver.byteorder_locked,
        send_byteorder=outbox.byteorder if outbox.media_format.encoding == "L16" else None,
    )


def _now() -> float:
    """Return Trio's clock, also where this is read after the run: then nothing plays."""
    try:
        return trio.current_time()
    except RuntimeError:
        return inf
