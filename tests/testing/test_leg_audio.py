from __future__ import annotations

import numpy as np
import pytest

from telnyx_trio.testing._codecs import Codec
from telnyx_trio.testing._leg_audio import LegAudio

CLIP = (np.arange(400) * 20).astype(np.int16)


def test_speech_before_the_media_starts_with_it() -> None:
    """What is said before there is a line is spoken at time 0."""
    audio = LegAudio(Codec("L16"))
    audio.say(CLIP, 8000, 1.0)
    audio.start(5.0)
    assert audio.speak(0, 400) == CLIP.tobytes()


def test_speech_starts_at_the_very_sample() -> None:
    """A word that begins within a packet is not moved to the packet's edge."""
    audio = LegAudio(Codec("L16"))
    audio.start(5.0)
    audio.say(CLIP, 8000, 5.001)
    assert audio.speak(0, 12) == bytes(16) + CLIP[:4].tobytes()


def test_speech_passes_through_the_codec_of_the_leg() -> None:
    """The server gets what G.711 left of the voice, and the recording says so."""
    codec = Codec("PCMA")
    audio = LegAudio(codec)
    audio.start(0.0)
    audio.say(CLIP, 8000, 0.0)
    carried = codec.open_coder().pass_through(CLIP.tobytes())
    assert carried != CLIP.tobytes()
    assert audio.recording(0.05)[0].tobytes() == carried


def test_recording_ends_now() -> None:
    """What is queued but not played yet has not been heard."""
    audio = LegAudio(Codec("PCMU"))
    audio.start(0.0)
    audio.player.play(CLIP.tobytes(), 0.0)
    assert audio.recording(0.01).shape == (2, 80)


def test_recording_is_empty_without_media() -> None:
    """A call that was never answered has nothing to hear."""
    assert LegAudio(Codec("PCMU")).recording(9.0).shape == (2, 0)


def test_noise_is_faint_and_recorded() -> None:
    """Background noise stays within its peak and is the same in packet and recording."""
    audio = LegAudio(Codec("L16"), noise=30, seed=1)
    audio.start(0.0)
    spoken = audio.speak(0, 160)
    samples = np.frombuffer(spoken, np.int16)
    assert 0 < np.abs(samples).max() <= 30
    assert audio.recording(0.02)[0].tobytes() == spoken


@pytest.mark.parametrize("rates", [(8000, 16000), (16000, 8000)])
def test_bridged_voice_has_no_gaps_however_it_is_read(rates: tuple[int, int]) -> None:
    """Packet by packet, as a media socket does, or all at once, as a recording does."""
    speaker, listener = (LegAudio(Codec("L16", rate)) for rate in rates)
    speaker.start(0)
    listener.start(0.5)
    tone = (8000 * np.sin(np.arange(2 * rates[0]) * 0.3)).astype(np.int16)
    speaker.say(tone, rates[0], 0)
    listener.join(speaker, 1)
    size = rates[1] // 50
    first = listener.position(1)
    packets = [listener.heard(first + at * size, first + (at + 1) * size) for at in range(40)]
    assert b"".join(packets) == listener.heard(first, first + 40 * size)
    heard = np.frombuffer(b"".join(packets[4:]), np.int16).astype(float)
    runs = np.abs(heard).reshape(-1, size // 10).max(axis=1)  # 2 ms each: half a period and more
    assert runs.min() > 6000
