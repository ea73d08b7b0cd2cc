"""One media stream as its messages see it: the state, what may come in it, and the order of media.

Every transition is in ``_TRANSITIONS``; a message that is not listed for a state is refused there.
A message that is malformed or refused raises, is counted, and changes nothing: the stream goes on
with the next one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import partial
from types import MappingProxyType
from typing import Final

from .._errors import LocalProtocolError, RemoteProtocolError
from .._redact import cut
from .._types import Track
from ._messages import (
    Command,
    Connected,
    Dtmf,
    Error,
    Mark,
    Media,
    Message,
    MissingMedia,
    Received,
    SendMedia,
    Start,
    Stop,
    UnknownMessage,
)
from ._parse import parse_message
from ._reorder import ReorderWindow
from ._serialise import media_prefix, serialise, serialise_media


class StreamState(Enum):
    """Where a media stream is in its life."""

    CONNECTED = "connected"
    """The socket is open, ``start`` has not come: no media yet, either way."""

    STARTED = "started"
    """``start`` has come: media flow both ways."""

    STOPPED = "stopped"
    """``stop`` has come: the stream is over for good."""


# To ask an Enum for a member takes longer than to compare it, and this is asked for every packet.
_STARTED: Final = StreamState.STARTED

_TRANSITIONS: Final[Mapping[StreamState, Mapping[type[Message], StreamState]]] = MappingProxyType(
    {
        StreamState.CONNECTED: {
            Connected: StreamState.CONNECTED,
            Start: StreamState.STARTED,
            Error: StreamState.CONNECTED,
            UnknownMessage: StreamState.CONNECTED,
            Stop: StreamState.STOPPED,
        },
        StreamState.STARTED: {
            Media: StreamState.STARTED,
            Dtmf: StreamState.STARTED,
            Mark: StreamState.STARTED,
            Error: StreamState.STARTED,
            Connected: StreamState.STARTED,
            UnknownMessage: StreamState.STARTED,
            Stop: StreamState.STOPPED,
        },
        StreamState.STOPPED: {},
    }
)


@dataclass(frozen=True, slots=True)
class ConnectionCounters:
    """What has come over a media stream so far.

    Attributes:
        messages: messages taken, of all kinds; what is malformed or refused is not among them.
        media_inbound: media messages taken of the inbound track.
        media_outbound: media messages taken of the outbound track.
        unknown: messages of unknown kinds.
        malformed: messages that could not be read.
        refused: messages that were not allowed when they came.
        waiting: media that wait for one that is missing. This and the following of both tracks.
        late: media dropped because their turn was over.
        duplicates: media dropped because they had been delivered or were waiting.
        missing: media given up; one that comes afterwards counts as late, too.
        resyncs: times that the numbering of the media jumped or started over.
    """

    messages: int
    media_inbound: int
    media_outbound: int
    unknown: int
    malformed: int
    refused: int
    waiting: int
    late: int
    duplicates: int
    missing: int
    resyncs: int


class MediaConnection:
    """Our side of one media stream, without any I/O: texts in, messages out, and the way back."""

    __slots__ = (
        "_malformed",
        "_media_prefix",
        "_others",
        "_refused",
        "_state",
        "_stream_id",
        "_transitions",
        "_unknown",
        "_windows",
    )

    def __init__(self) -> None:
        self._state = StreamState.CONNECTED
        self._transitions = _TRANSITIONS[self._state]
        self._stream_id: str | None = None
        self._media_prefix = media_prefix(None)
        self._windows: Mapping[Track, ReorderWindow[Received]] = {
            "inbound": ReorderWindow(partial(MissingMedia, "inbound")),
            "outbound": ReorderWindow(partial(MissingMedia, "outbound")),
        }
        self._others = 0
        self._unknown = 0
        self._malformed = 0
        self._refused = 0

    @property
    def is_started(self) -> bool:
        """Whether media flow: ``start`` has come, and ``stop`` has not."""
        return self._state is _STARTED

    @property
    def state(self) -> StreamState:
        """Where the stream is in its life."""
        return self._state

    @property
    def counters(self) -> ConnectionCounters:
        """What has come so far; a copy that does not change."""
        windows = self._windows.values()
        return ConnectionCounters(
            messages=self._others + sum(window.pushed for window in windows),
            media_inbound=self._windows["inbound"].pushed,
            media_outbound=self._windows["outbound"].pushed,
            unknown=self._unknown,
            malformed=self._malformed,
            refused=self._refused,
            waiting=sum(window.held for window in windows),
            late=sum(window.late for window in windows),
            duplicates=sum(window.duplicates for window in windows),
            missing=sum(window.missing for window in windows),
            resyncs=sum(window.resyncs for window in windows),
        )

    @property
    def due(self) -> float:
        """When to call ``expire``, inf while no media wait."""
        return min(window.due for window in self._windows.values())

    @property
    def reorder_patience(self) -> float:
        """Seconds that media wait at most for one that is missing; of the more patient track."""
        return max(window.patience.seconds for window in self._windows.values())

    def receive(self, text: str, now: float) -> list[Received]:
        """Take one text from the socket; return what is now to be handled, in order.

        Media come out in the order of their chunks within a track; media that are ahead wait, so
        that nothing or several may come out. What is given up has a ``MissingMedia`` in its place.
        All else comes out at once. Media that still wait when ``stop`` comes are returned before
        it.

        Args:
            text: as received.
            now: when.

        Raises:
            RemoteProtocolError: the text is malformed, not allowed in this state, or media of
                another stream. Nothing has changed; go on with the next text.
        """
        try:
            message = parse_message(text)
        except RemoteProtocolError:
            self._malformed += 1
            raise
        state = self._transitions.get(type(message))
        if state is None:
            raise self._refusal(message, f"not allowed in state {self._state.name}")
        if type(message) is Media:
            return self._receive_media(message, now)
        self._others += 1
        if type(message) is Start:
            self._stream_id = message.stream_id
            self._media_prefix = media_prefix(message.stream_id)
        elif type(message) is UnknownMessage:
            self._unknown += 1
        self._state = state
        self._transitions = _TRANSITIONS[state]
        return [*self.flush(), message] if type(message) is Stop else [message]

    def expire(self, now: float) -> list[Received]:
        """Return the media that have waited for long enough, in order within each track."""
        return [message for window in self._windows.values() for message in window.expire(now)]

    def flush(self) -> list[Received]:
        """Return the media that wait, in order within each track: for when the socket is gone."""
        return [message for window in self._windows.values() for message in window.flush()]

    def send(self, command: Command) -> str:
        """Return the text to send for a command. Media are given the ``stream_id`` of ``start``.

        Raises:
            LocalProtocolError: ``start`` has not come, or ``stop`` has; or a text in the command
                cannot be written as UTF-8.
        """
        if self._state is not _STARTED:
            when = "before `start`" if self._state is StreamState.CONNECTED else "after `stop`"
            raise LocalProtocolError(f"{type(command).__name__} {when}")
        if type(command) is SendMedia and command.stream_id is None:
            return serialise_media(self._media_prefix, command.payload)
        return serialise(command)

    def _receive_media(self, media: Media, now: float) -> list[Received]:
        stream_id = media.stream_id
        if stream_id != self._stream_id and None not in (stream_id, self._stream_id):
            raise self._refusal(media, "belongs to another stream")
        return self._windows[media.track].push(media.chunk, media, now)

    def _refusal(self, message: Message, problem: str) -> RemoteProtocolError:
        self._refused += 1
        event = message.event if type(message) is UnknownMessage else type(message).__name__.lower()
        return RemoteProtocolError(problem, event=cut(event, 20))
