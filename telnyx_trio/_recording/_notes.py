"""What happened to the audio of a call, on the clock of its recording."""

from __future__ import annotations

from dataclasses import dataclass

from .._audio_tap import NoteKind


@dataclass(frozen=True)
class RecordingNote:
    """Something that happened to the audio while it was recorded.

    Attributes:
        kind: "mark": one came back, played; "cleared mark"; "clear": audio was taken away, by
            ``clear`` or an interruption; "digit": the far party pressed a key; "gap": audio of the
            far party is missing; "underrun": audio of ours came too late.
        at: seconds from the start of the file.
        text: name of the mark, or the key.
        duration: seconds of a gap.
    """

    kind: NoteKind
    at: float
    text: str = ""
    duration: float = 0.0
