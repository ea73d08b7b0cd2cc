"""What comes in, sorted: the receive side of a media stream without any I/O.

::

    text ─► protocol message ─► in order ─► Decoder ─► AudioTrack, one for each track asked for
                             └► key presses, marks, complaints ─► events
                             └► start, stop ─► the caller

Nothing here waits: a channel that nobody reads loses its oldest value and counts that.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
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
from ._types import ByteOrder, TelnyxMediaFormat, Track, TrackSelection, WireByteOrder
from .audio import Decoder, DtmfDetector, PcmData, VoiceActivity, open_decoder
from .protocol import Dtmf, Error, Mark, Media, MediaConnection, Message, Start, Stop

logger = logging.getLogger("telnyx_trio.media")

MAX_RECEIVE_BUFFER: Final = 10.0
"""Seconds of received audio kept for a reader that is behind: time to load a model, not more."""

MAX_EVENTS: Final = 256

_MAX_LOGGED: Final = 200
"""Characters of a complaint of Telnyx's that are logged."""


class AudioTrack(RingChannel[PcmData]):
    """Received audio of one track: an async-iterable of PcmData that lasts as long as its stream.

    Iteration ends after the last audio of the stream. Holds 10 s; a reader that is further behind
    loses the oldest, which ``MediaStream.statistics`` counts.
    """

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


class Receiver:
    """Sorts everything that one stream receives.

    Args:
        track: which tracks become audio.
        media_format: what to expect until ``start`` names it.
        byteorder: of L16 on the wire.
        take_mark: takes the name of a mark that came back, and the time; returns the event that it
            is, None if it is none.
        voice_activity: makes what tells whether the far party speaks.
        in_band_dtmf: whether key presses are listened for in its audio.

    Attributes:
        connection: the protocol's state, shared with the send side.
        audio_track: audio of the track asked for; of "both" the inbound one.
        audio_tracks: the same by name, of "both" the outbound one too.
        events: key presses, marks, complaints, and when the far party speaks.
        speech: whether it does.
        taps: told of all audio of the inbound track.
        messages: texts received.
        packets: media messages taken of the tracks asked for.
        undecodable: of those, the ones that its codec could make nothing of.
        last_media: when a media message came last, -inf before ``start``.
        byteorder_heard: set once there is some sign of the order of L16 bytes.
    """

    def __init__(
        self,
        track: TrackSelection,
        media_format: TelnyxMediaFormat,
        byteorder: WireByteOrder,
        take_mark: Callable[[str, float], MarkReturned | None],
        *,
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
        self.messages = 0
        self.packets = 0
        self.undecodable = 0
        self.last_media = -inf
        self.byteorder_heard: Final = trio.Event()
        self._primary = primary
        self._byteorder: WireByteOrder = byteorder
        self._take_mark = take_mark
        self._decoders: dict[Track, Decoder] = {}
        self._in_band_dtmf = in_band_dtmf
        self._tones: DtmfDetector | None = None

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

    def receive(self, text: str, now: float) -> Start | Stop | None:
        """Take one text; return a message that changes the life of the stream.

        A text that is malformed or out of place is counted and changes nothing.

        Raises:
            UnsupportedEncoding: ``start`` names a codec that we do not speak.
            CodecNotInstalled: it names one that needs the extra [codecs].
        """
        self.messages += 1
        try:
            messages = self.connection.receive(text)
        except RemoteProtocolError as error:
            counters = self.connection.counters
            self._log_problem(error, first=counters.malformed + counters.refused == 1)
            return None
        if not messages:
            # A media message that waits for an earlier one, or came too late: still a sign of life.
            self.last_media = now
        for message in messages:
            if isinstance(message, Media):
                self._take_media(message, now)
            elif isinstance(message, Start):
                self._open_decoders(message)
                self.last_media = now
                return message
            elif isinstance(message, Stop):
                return message
            else:
                self._take_event(message, now)
        return None

    def end(self) -> None:
        """Hand out what waits for earlier media, and let the channels run dry."""
        for message in self.connection.flush():
            if isinstance(message, Media):
                self._take_media(message, self.last_media)
        for track in self.audio_tracks.values():
            track.end()
        self.speech.end()
        self.events.end()
        for decoder in self._decoders.values():
            decoder.close()

    def _open_decoders(self, start: Start) -> None:
        for name, track in self.audio_tracks.items():
            track.set_format(start.media_format)
            self._decoders[name] = open_decoder(start.media_format, self._byteorder)

    def _take_media(self, media: Media, now: float) -> None:
        self.last_media = now
        decoder = self._decoders.get(media.track)
        if decoder is None or not media.payload:
            return
        self.packets += 1
        try:
            pcm = decoder.decode(media.payload)
        except RemoteProtocolError as error:
            self.undecodable += 1
            self._log_problem(error, first=self.undecodable == 1)
            return
        if decoder.byteorder is not None:
            self.byteorder_heard.set()
        if pcm.n_samples:
            self.audio_tracks[media.track].put(pcm, pcm.duration)
            if media.track == "inbound":
                self.speech.hear(pcm)
                if self._in_band_dtmf:
                    self._listen_for_tones(pcm)
                for tap in self.taps:
                    tap.take_received(pcm, now)

    def _listen_for_tones(self, pcm: PcmData) -> None:
        if self._tones is None:
            self._tones = DtmfDetector(pcm.sample_rate)
        for tone in self._tones.process(pcm.mono_int16()):
            self.events.put(DtmfReceived(tone.digit, source="in_band"))

    def _take_event(self, message: Message, now: float) -> None:
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
