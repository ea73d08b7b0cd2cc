"""The phone at the far end of a leg: what it does by itself."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np

from .._types import Encoding
from ._audio_files import speak_text, tone
from ._codecs import Samples, read_wav, resample_clip
from ._impairments import MediaImpairments

_GREETING: Final = "Please leave a message after the tone, thank you."
_BEEP: Final = (1000.0, 0.5)
_FAX_TONE: Final = (2100.0, 3.0)
"""Hz and seconds. The fax's is the CED of ITU-T T.30; beeps have no standard."""

Voice: TypeAlias = str | os.PathLike[str] | tuple[Samples, int]
"""A 16-bit WAV file, or mono int16 samples of shape (n,) with their rate in Hz."""

Outcome: TypeAlias = Literal["answers", "busy", "no_answer", "rejected"]
AnsweredBy: TypeAlias = Literal["human", "machine", "fax", "silence"]
DtmfReport: TypeAlias = Literal["media", "webhook", "both", "in_band"]


@dataclass(frozen=True)
class Phone:
    """Somebody with a phone, as caller or as callee. Times are seconds.

    Attributes:
        outcome: what becomes of a call to this phone; a caller takes no notice of it.
        answer_after: how long it rings before it answers, is busy or refuses.
        says: spoken once, in real time; silence otherwise.
        answered_by: who it is that answers, for the carrier's answering machine detection. A
            machine speaks its greeting, ``says`` or three seconds of speech; a fax whistles.
        beep: whether a machine's greeting ends with a beep.
        speak_at: when, from the start of the media.
        digits: keys pressed, each with its time from the start of the media.
        dtmf_report: how Telnyx tells of a key: on the media socket, by webhook, both; or by none,
            and its tone is in the caller's audio.
        hang_up_at: when it hangs up, from the start of the media.
        hang_up_after: when it hangs up, from the first ring, answered or not.
        vanish_at: when the media socket is lost without a word, from the start of the media; the
            leg stays up.
        noise: peak of the line's background noise, in int16 steps; 0 is digital silence.
        impairments: what happens to its media messages on their way to the server.
        leg_encoding: codec of its leg; None is the carrier's ``settings.leg_encoding``.
    """

    outcome: Outcome = "answers"
    answer_after: float = 0.0
    says: Voice | None = None
    answered_by: AnsweredBy = "human"
    beep: bool = True
    speak_at: float = 0.0
    digits: Sequence[tuple[float, str]] = ()
    dtmf_report: DtmfReport = "both"
    hang_up_at: float | None = None
    hang_up_after: float | None = None
    vanish_at: float | None = None
    noise: int = 0
    impairments: MediaImpairments | None = None
    leg_encoding: Encoding | None = None

    def voice(self) -> tuple[Samples, int] | None:
        """Return what it says as samples and rate; reads the file if it is one.

        Raises:
            OSError: there is no such file.
            ValueError: it is not a 16-bit WAV file.
        """
        voice = self._own_voice()
        if self.answered_by != "machine":
            return voice
        samples, sample_rate = voice if voice is not None else speak_text(_GREETING)
        if self.beep:
            beep = resample_clip(*tone(*_BEEP), sample_rate)
            samples = np.concatenate((samples, beep))
        return samples, sample_rate

    def greeting_duration(self) -> float:
        """Return when a machine's greeting is over, beep included, from the answer.

        Raises:
            OSError, ValueError: as ``voice`` does.
        """
        voice = self.voice()
        return self.speak_at + (voice[0].size / voice[1] if voice is not None else 0.0)

    def _own_voice(self) -> tuple[Samples, int] | None:
        if self.says is None:
            return tone(*_FAX_TONE) if self.answered_by == "fax" else None
        return self.says if isinstance(self.says, tuple) else read_wav(self.says)
