"""What may listen in on a media stream: its audio both ways, with the times that belong to it."""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

from ._types import ByteOrder
from .audio import PcmData

NoteKind: TypeAlias = Literal["mark", "cleared mark", "clear", "digit", "gap", "underrun"]
"""What may happen to the audio: a mark came back, ``clear`` took something away, a key was pressed,
audio of the far party is missing, audio of ours came too late."""


class AudioTap(Protocol):
    """Told of all audio of one stream, as plain calls from its tasks: they must be quick.

    Times are those of the stream's clock, in seconds.
    """

    def take_received(self, pcm: PcmData, now: float) -> None:
        """Take audio of the inbound track that came in now."""

    def take_sent(self, payload: bytes, start: float, byteorder: ByteOrder) -> None:
        """Take a packet that was written; the far party hears it from ``start`` on.

        Args:
            payload: as sent, 20 ms of it.
            start: not before the end of the packet before.
            byteorder: of the payload, should it be L16.
        """

    def take_cut(self, at: float) -> None:
        """Note that what was to be heard from ``at`` on will not be."""

    def take_note(self, kind: NoteKind, at: float, text: str = "", duration: float = 0.0) -> None:
        """Note what happened to the audio, such as a mark of this name or a gap this long."""

    def take_end(self, now: float) -> None:
        """Note that the stream has ended: nothing more comes, and nothing more is heard."""
