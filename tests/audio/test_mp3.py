from __future__ import annotations

import numpy as np
import pytest
from audio.audio_signals import tone

from telnyx_trio._errors import InvalidMp3
from telnyx_trio.audio import require_mp3
from telnyx_trio.testing._mp3 import encode_mp3


@pytest.mark.parametrize("sample_rate", [8000, 16000, 22050, 24000, 44100, 48000])
def test_files_of_an_encoder_pass(sample_rate: int) -> None:
    """As they are, with the tag that it puts at the front and without."""
    content = encode_mp3(tone(440, sample_rate, 0.1)[np.newaxis], sample_rate)
    assert content.startswith(b"ID3")
    assert require_mp3(content) is content
    size = int.from_bytes(bytes(content[6:10]), "big")
    bare = content[10 + size :]
    assert require_mp3(bare) == bare
    padded = b"ID3\4\0\0\0\0\1\1" + bytes(129) + content[:10] + content[10:]
    assert require_mp3(padded) == padded


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"ID3",
        b"ID3\4\0\0\0\0\0\0",
        b"\0" * 100,
        b"RIFF\0\0\0\0WAVEfmt ",
        b"OggS" + bytes(50),
        b"\xff\xff\xff\xff" * 10,  # PCMU silence
        b"\xff\xf1\x50\x80" * 10,  # AAC
        b"\xff\xfb\xf0\x00" * 10,  # no such bit rate
    ],
)
def test_other_files_are_refused(content: bytes) -> None:
    """With an error that is a ValueError, too."""
    with pytest.raises(InvalidMp3, match="no MP3 file"):
        require_mp3(content)
    with pytest.raises(ValueError, match="MPEG frame"):
        require_mp3(content)
