"""WAV files of 16-bit PCM, on the standard library's ``wave``."""

from __future__ import annotations

import io
import wave

import numpy as np
from numpy.typing import NDArray

from .._errors import InvalidWav

_HOW_TO_CONVERT = "convert it with: sox input.wav -b 16 -e signed-integer output.wav"


def read_wav(content: bytes) -> tuple[NDArray[np.int16], int, int]:
    """Read a whole WAV file.

    Returns:
        Interleaved int16 samples of shape (n * channels,), the sample rate in Hz, the channels.

    Raises:
        InvalidWav: as its docstring says.
    """
    try:
        with wave.open(io.BytesIO(content)) as reader:
            channels, width, sample_rate, n_samples, _, _ = reader.getparams()
            data = reader.readframes(n_samples)
    except EOFError:
        raise InvalidWav(f"WAV ends inside its header, after {len(content)} bytes") from None
    except wave.Error as error:
        raise InvalidWav(f"no WAV of 16-bit PCM ({error}); {_HOW_TO_CONVERT}") from None
    if width != 2:
        raise InvalidWav(f"WAV has {8 * width} bits a sample, not 16; {_HOW_TO_CONVERT}")
    expected = n_samples * channels * width
    if len(data) < expected:
        raise InvalidWav(
            f"WAV is cut short: its header promises {expected} bytes of audio, it has"
            f" {len(data)}; copy it again"
        )
    return np.frombuffer(data, "<i2").astype(np.int16), sample_rate, channels


def wav_bytes(interleaved: bytes, sample_rate: int, channels: int) -> bytes:
    """Put a WAV header before little-endian 16-bit samples."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(sample_rate)
        writer.writeframes(interleaved)
    return file.getvalue()
