"""What comes in, sorted: the receive side of a media stream without any I/O.

::

    text ─► protocol message ─► in order ─► TrackDecoder ─► AudioTrack, for each track asked for
                                                         └► speech, tones ─► events
                             └► key presses, marks, complaints ─► events
                             └► start, stop ─► the caller

Nothing here waits: a channel that nobody reads loses its oldest value and counts that.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from math import inf
from types import MappingProxyType
from typing import Final

import trio

from ._audio_tap import AudioTap
from ._errors import RemoteProtocolError, StreamError
from ._events import DtmfReceived, MarkReturned, StreamErrorReceived, StreamEvent
from ._redact import cut
from ._ring_channel import RingChannel
from ._speech import SpeechWatch
from ._track_decoder import TrackDecoder
from ._types import (
    ByteOrder,
    MissingAudio,
    TelnyxMediaFormat,
    Track,
    TrackSelection,
    WireByteOrder,
)
from .audio import DtmfDetector, PcmData, VoiceActivity
from .protocol import (
    Dtmf,
    Error,
    Mark,
    Media,
    MediaConnection,
    MissingMedia,
    Received,
    Start,
    Stop,
)

logger = logging.getLogger("telnyx_trio.media")

MAX_RECEIVE_BUFFER: Final = 10.0
"""Seconds of received audio kept for a reader that is behind: time to load a model, not more."""

MAX_RECEIVED_PACKETS: Final = 500

MAX_EVENTS: Final = 256

_MAX_LOGGED: Final = 200
"""Characters of a complaint of Telnyx's that are logged."""


class AudioTrack(RingChannel[PcmData]):
    """Received audio of one track: an async-iterable of PcmData that lasts as long as its stream.

    Iteration ends after the last audio of the stream. Holds 10 s; a reader that is further behind
    loses the oldest, which ``MediaStream.statistics`` counts.
    """

    __slots__ = ("_media_format",)

    def __init__(self, media_format: TelnyxMediaFormat) -> None:
        super().__init__(MAX_RECEIVE_BUFFER)
        self._media_format = media_format

    @property
    def sample_rate(self) -> int:
        """In Hz; before ``start`` that of the format expected."""
        return self._media_format.audio_sample_rate

    @property
    def channels(self) -> int:
        """1 or 2; before ``start`` that of the format expected."""
        return self._media_format.audio_channels

    @property
    def format(self) -> str:
        """Always "s16": samples are int16."""
        return "s16"

    def set_format(self, media_format: TelnyxMediaFormat) -> None:
        """Note the format named by ``start``."""
        self._media_format = media_format


class PacketTrack(RingChannel[bytes]):
    """Payloads of received packets as they came, in order, from now to its closing.

    Meanwhile ``audio_track`` gets nothing. Holds 10 s of packets and drops the oldest.
    """

    def __init__(self) -> None:
        super().__init__(MAX_RECEIVED_PACKETS)


class Receiver:
    """Sorts everything that one stream receives.

    Args:
        track: which tracks become audio.
        media_format: what to expect until ``start`` names it.
        byteorder: of L16 on the wire.
        take_mark: takes the name of a mark that came back, and the time; returns the event that it
            is, None if it is none.
        voice_activity: makes what tells whether the far party speaks.
        missing_audio: what takes the place of packets that never came.
        on_wait: called when media begin to wait for one that is missing: from then on, ``expire``
            is to be called when ``due`` is there.
        in_band_dtmf: whether key presses are listened for in its audio.

    Attributes:
        connection: the protocol's state, shared with the send side.
        audio_track: audio of the track asked for; of "both" the inbound one.
        audio_tracks: the same by name, of "both" the outbound one too.
        events: key presses, marks, complaints, and when the far party speaks.
        speech: whether it does.
        taps: told of all audio of the inbound track.
        packets: media messages taken of the tracks asked for.
        undecodable: of those, the ones that its codec could make nothing of.
        last_media: when a media message came last, -inf before ``start``.
        byteorder_heard: set once there is some sign of the order of L16 bytes.
    """

    __slots__ = (
        "_byteorder",
        "_decoders",
        "_has_byteorder",
        "_in_band_dtmf",
        "_missing_audio",
        "_on_wait",
        "_packets",
        "_primary",
        "_take_mark",
        "_tones",
        "audio_track",
        "audio_tracks",
        "byteorder_heard",
        "connection",
        "events",
        "last_media",
        "packets",
        "speech",
        "taps",
        "undecodable",
    )

    def __init__(
        self,
        track: TrackSelection,
        media_format: TelnyxMediaFormat,
        byteorder: WireByteOrder,
        take_mark: Callable[[str, float], MarkReturned | None],
        *,
        missing_audio: MissingAudio = "conceal",
        on_wait: Callable[[], None] = lambda: None,
        voice_activity: VoiceActivity | None = None,
        in_band_dtmf: bool = False,
    ) -> None:
        self.connection: Final = MediaConnection()
        primary: Track = "outbound" if track == "outbound" else "inbound"
        self.audio_track: Final = AudioTrack(media_format)
        tracks: dict[Track, AudioTrack] = {primary: self.audio_track}
        if track == "both":
            tracks["outbound"] = AudioTrack(media_format)
        self.audio_tracks: Final[Mapping[Track, AudioTrack]] = MappingProxyType(tracks)
        self.events: Final[RingChannel[StreamEvent]] = RingChannel(MAX_EVENTS)
        self.speech: Final = SpeechWatch(
            voice_activity, self.events.put, can_hear="inbound" in tracks
        )
        self.taps: Final[list[AudioTap]] = []
        self.packets = 0
        self.undecodable = 0
        self.last_media = -inf
        self.byteorder_heard: Final = trio.Event()
        self._primary = primary
        self._byteorder: WireByteOrder = byteorder
        self._take_mark = take_mark
        self._missing_audio: MissingAudio = missing_audio
        self._on_wait = on_wait
        self._decoders: dict[Track, TrackDecoder] = {}
        self._has_byteorder = False
        self._packets: PacketTrack | None = None
        self._in_band_dtmf = in_band_dtmf
        self._tones: DtmfDetector | None = None

    def open_packets(self) -> PacketTrack:
        """Return the channel of payloads; it is opened, if it is not open."""
        if self._packets is None or self._packets.is_closed:
            self._packets = PacketTrack()
        return self._packets

    @property
    def byteorder(self) -> ByteOrder | None:
        """Order in which L16 is read; None for other codecs, and while nothing tells."""
        decoder = self._decoders.get(self._primary)
        return None if decoder is None else decoder.byteorder

    @property
    def byteorder_locked(self) -> bool:
        """Whether ``byteorder`` will not change any more; False before ``start``."""
        decoder = self._decoders.get(self._primary)
        return decoder is not None and decoder.byteorder_locked

    @property
    def due(self) -> float:
        """When to call ``expire``, inf while no media wait."""
        return self.connection.due

    @property
    def audio_held(self) -> float:
        """Seconds of audio that wait for a packet that is missing."""
        waiting = self.connection.counters.waiting
        decoder = self._decoders.get(self._primary)
        return waiting * decoder.packet_duration if decoder is not None else 0.0

    @property
    def made_up(self) -> int:
        """Packets that were made up."""
        return sum(decoder.made_up for decoder in self._decoders.values())

    def receive(self, text: str, now: float) -> Start | Stop | None:
        """Take one text; return a message that changes the life of the stream.

        A text that is malformed or out of place is counted and changes nothing.

        Raises:
            UnsupportedEncoding: ``start`` names a codec that we do not speak.
            CodecNotInstalled: it names one that needs the extra [codecs].
        """
        try:
            messages = self.connection.receive(text, now)
        except RemoteProtocolError as error:
            counters = self.connection.counters
            self._log_problem(error, first=counters.malformed + counters.refused == 1)
            return None
        if not messages:
            # A media message that waits for an earlier one, or came too late: still a sign of life.
            self.last_media = now
            self._on_wait()
        for message in messages:
            if isinstance(message, Media):
                self.last_media = now
                self._take_media(message, now)
            elif isinstance(message, MissingMedia):
                self._make_up(message.track, message.n_packets, now)
            elif isinstance(message, Start):
                self._open_decoders(message)
                self.last_media = now
                return message
            elif isinstance(message, Stop):
                return message
            else:
                self._take_event(message, now)
        return None

    def expire(self, now: float) -> None:
        """Give up the media that have been waited for long enough."""
        self._take_all(self.connection.expire(now), now)

    def end(self) -> None:
        """Hand out what waits for earlier media, and let the channels run dry."""
        try:
            self._take_all(self.connection.flush(), self.last_media)
        finally:  # a detector of the user's may raise
            for track in self.audio_tracks.values():
                track.end()
            self.open_packets().end()
            self.speech.end()
            self.events.end()
            for decoder in self._decoders.values():
                decoder.close()

    def _open_decoders(self, start: Start) -> None:
        self._has_byteorder = start.media_format.encoding.upper() == "L16"
        for name, track in self.audio_tracks.items():
            track.set_format(start.media_format)
            self._decoders[name] = TrackDecoder(
                start.media_format, self._byteorder, self._missing_audio
            )

    def _take_all(self, messages: Iterable[Received], now: float) -> None:
        """Take media that waited."""
        for message in messages:
            if isinstance(message, Media):
                self._take_media(message, now)
            elif isinstance(message, MissingMedia):
                self._make_up(message.track, message.n_packets, now)

    def _take_media(self, media: Media, now: float) -> None:
        decoder = self._decoders.get(media.track)
        if decoder is None or not media.payload:
            return
        self.packets += 1
        if self._packets is not None and media.track == self._primary and self._passes:
            self.open_packets().put(media.payload)
            if not self._is_heard(media.track, decoder):
                decoder.skip(now)
                return
        try:
            pcm = decoder.decode(media.payload, now)
        except RemoteProtocolError as error:
            self.undecodable += 1
            self._log_problem(error, first=self.undecodable == 1)
            self._make_up(media.track, 1, now)
            return
        if self._has_byteorder and decoder.byteorder is not None:
            self.byteorder_heard.set()
        if pcm is not None:
            self._hand_out(media.track, pcm, decoder, now)

    def _make_up(self, track: Track, n_packets: int, now: float) -> None:
        decoder = self._decoders.get(track)
        if decoder is not None:
            if track == "inbound":
                duration = n_packets * decoder.packet_duration
                for tap in self.taps:
                    tap.take_note("gap", now - duration, duration=duration)
            for pcm in decoder.make_up(n_packets, now):
                self._hand_out(track, pcm, decoder, now)

    def _hand_out(self, track: Track, pcm: PcmData, decoder: TrackDecoder, now: float) -> None:
        """Give the next audio of a track to all who want it."""
        if track != self._primary:
            self.audio_tracks[track].put(pcm, decoder.packet_duration)
        elif self._packets is None or not self._passes:
            self.audio_track.put(pcm, decoder.packet_duration)
        if track == "inbound":
            self.speech.hear(pcm, decoder.received)
            if self._in_band_dtmf:
                self._listen_for_tones(pcm)
            for tap in self.taps:
                tap.take_received(pcm, now)

    @property
    def _passes(self) -> bool:
        """Whether payloads of the primary track are handed out as they are."""
        return self._packets is not None and not self._packets.is_closed

    def _is_heard(self, track: Track, decoder: TrackDecoder) -> bool:
        """Whether a payload that was handed out as it is must be decoded all the same."""
        if not decoder.byteorder_locked:
            return True
        return track == "inbound" and bool(
            self._in_band_dtmf or self.taps or self.speech.is_listening
        )

    def _listen_for_tones(self, pcm: PcmData) -> None:
        if self._tones is None:
            self._tones = DtmfDetector(pcm.sample_rate)
        for tone in self._tones.process(pcm.mono_int16()):
            self.events.put(DtmfReceived(tone.digit, source="in_band"))

    def _take_event(self, message: Received, now: float) -> None:
        match message:
            case Dtmf(digit=digit, occurred_at=occurred_at):
                self.events.put(DtmfReceived(digit, occurred_at))
            case Mark(name=name):
                event = self._take_mark(name, now)
                if event is not None:
                    self.events.put(event)
            case Error(code=code, title=title, detail=detail):
                error = StreamError(code, title, detail)
                logger.warning("media stream: Telnyx reports %s", cut(str(error), _MAX_LOGGED))
                self.events.put(StreamErrorReceived(error))
            case _:
                pass

    def _log_problem(self, error: RemoteProtocolError, *, first: bool) -> None:
        # One line a stream: a peer that sends rubbish must not fill the log. The rest is counted.
        logger.log(logging.WARNING if first else logging.DEBUG, "media stream: %s", error)
