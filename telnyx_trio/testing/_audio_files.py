"""Sound that the carrier plays by itself: files that it fetched, speech for a text, tones."""

from __future__ import annotations

import io
import re
from functools import cache
from typing import Final

import numpy as np

from ._codecs import Samples, read_wav, to_int16
from ._mp3 import decode_mp3
from ._speech import GREETING_WAV

SPEECH_RATE: Final = 16000
"""Rate of ``speak_text`` and ``tone``, in Hz."""

CHARACTER_TIME: Final = 0.065
"""Seconds of speech for a character: about 150 English words a minute."""

_TAG: Final = re.compile(r"<[^>]*>")


class NotPlayable(Exception):
    """A file holds no audio that can be played; the text says why."""


def decode_audio(content: bytes) -> tuple[Samples, int]:
    """Decode a WAV or MP3 file, told apart by their first bytes.

    Returns:
        int16, shape (n,), mono; and the sample rate in Hz.

    Raises:
        NotPlayable: it is neither, or an MP3 and PyAV is not installed.
    """
    try:
        if content.startswith(b"RIFF"):
            samples, sample_rate = read_wav(io.BytesIO(content))
        elif content.startswith((b"ID3", b"\xff")):
            samples, sample_rate = decode_mp3(content)
        else:
            raise NotPlayable("neither a WAV nor an MP3 file")
    except (ValueError, EOFError) as error:
        raise NotPlayable(f"the file cannot be played: {error}") from error
    if samples.size == 0:
        raise NotPlayable("the file holds no audio")
    return samples, sample_rate


def speak_text(text: str) -> tuple[Samples, int]:
    """Say something that takes as long as the text, in a recorded voice; SSML's tags take no time.

    Returns:
        int16, shape (n,), mono; and the sample rate in Hz.
    """
    n_samples = round(len(_TAG.sub("", text)) * CHARACTER_TIME * SPEECH_RATE)
    return np.resize(_voice(), max(n_samples, 1)), SPEECH_RATE


def tone(frequency: float, duration: float) -> tuple[Samples, int]:
    """Make a tone of a quarter of full scale.

    Args:
        frequency: in Hz.
        duration: in seconds.

    Returns:
        int16, shape (n,), mono; and the sample rate in Hz.
    """
    time = np.arange(round(duration * SPEECH_RATE)) / SPEECH_RATE
    return to_int16(8192 * np.sin(2 * np.pi * frequency * time)), SPEECH_RATE


def key_tone(digit: str) -> tuple[Samples, int]:
    """Make the tone of a key, as a phone does: 0.15 s of it and 0.1 s of silence.

    Frequencies: ITU-T Q.23.

    Returns:
        int16, shape (n,), mono; and the sample rate in Hz.
    """
    row, column = divmod("123A456B789C*0#D".index(digit), 4)
    low, _ = tone((697, 770, 852, 941)[row], 0.15)
    high, _ = tone((1209, 1336, 1477, 1633)[column], 0.15)
    silence = np.zeros(round(0.1 * SPEECH_RATE), np.int16)
    return np.concatenate((low + high, silence)), SPEECH_RATE


@cache
def _voice() -> Samples:
    samples, _ = read_wav(GREETING_WAV)
    return samples
