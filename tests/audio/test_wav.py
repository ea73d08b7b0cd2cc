from __future__ import annotations

import io
import struct
import wave

import pytest

from telnyx_trio import InvalidWav
from telnyx_trio._errors import TelnyxError
from telnyx_trio.audio._wav import read_wav, wav_bytes


def wav_of(width: int, channels: int = 1) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((channels, width, 8000, 0, "NONE", ""))
        writer.writeframes(bytes(width * channels * 10))
    return file.getvalue()


def test_reads_what_it_writes() -> None:
    """Samples, rate and channels."""
    samples, sample_rate, channels = read_wav(wav_bytes(b"\1\0\2\0\3\0\xff\xff", 22050, 2))
    assert samples.tolist() == [1, 2, 3, -1]
    assert (sample_rate, channels) == (22050, 2)


def test_reads_past_chunks_it_does_not_know() -> None:
    """A LIST chunk before the audio, as many programs write it, is skipped."""
    content = wav_bytes(b"\1\0\2\0", 8000, 1)
    extra = b"LIST" + struct.pack("<I", 4) + b"INFO"
    size = struct.pack("<I", len(content) + len(extra) - 8)
    longer = content[:4] + size + content[8:36] + extra + content[36:]
    assert read_wav(longer)[0].tolist() == [1, 2]


@pytest.mark.parametrize(("width", "bits"), [(1, 8), (3, 24), (4, 32)])
def test_other_widths_are_refused_with_what_to_do(width: int, bits: int) -> None:
    """The error names the width and a command."""
    with pytest.raises(InvalidWav, match=rf"{bits} bits.*sox"):
        read_wav(wav_of(width))


def test_other_codings_are_refused_with_what_to_do() -> None:
    """A WAV of mu-law (format 7) is not PCM."""
    content = bytearray(wav_bytes(b"\1\0", 8000, 1))
    content[20:22] = struct.pack("<H", 7)
    with pytest.raises(InvalidWav, match="sox"):
        read_wav(bytes(content))


@pytest.mark.parametrize("length", range(44))
def test_a_header_cut_short_is_refused(length: int) -> None:
    """At every byte of it."""
    with pytest.raises(InvalidWav):
        read_wav(wav_bytes(b"\1\0\2\0", 8000, 1)[:length])


def test_audio_cut_short_is_refused() -> None:
    """The error says how much is there; half a recording is not passed off as whole."""
    with pytest.raises(InvalidWav, match="promises 8 bytes of audio, it has 6"):
        read_wav(wav_bytes(bytes(8), 8000, 1)[:-2])


@pytest.mark.parametrize("content", [b"", b"RIFF", b"\0" * 100, b"OggS" + bytes(100)])
def test_other_files_are_refused(content: bytes) -> None:
    """As a telephony error and as a ValueError."""
    with pytest.raises(TelnyxError) as caught:
        read_wav(content)
    assert isinstance(caught.value, ValueError)
