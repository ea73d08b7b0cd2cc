"""The bridge into a Stream call as far as it goes without getstream."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import trio
from stream_world import RATE, loudness, tone
from trio.testing import MockClock

from telnyx_trio import (
    LocalProtocolError,
    MediaStream,
    PcmData,
    StreamNotInstalled,
    attach_phone_to_call,
    open_stream_bridge,
)
from telnyx_trio.bridges._bridge_audio import BLOCK_SIZE, BridgeAudio
from telnyx_trio.testing import FakeCall, memory_websocket_pair


async def test_the_extra_is_not_installed(
    fake_call: FakeCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what to install, once; the call goes on."""
    for name in ["getstream", *sys.modules]:
        if name.partition(".")[0] == "getstream":
            monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(StreamNotInstalled, match=r"pip install 'telnyx-trio\[stream\]'"):
        async with open_stream_bridge(fake_call.call, object()):
            pytest.fail("it is joined")
    with pytest.raises(StreamNotInstalled):
        await attach_phone_to_call(object(), fake_call.call.stream)
    assert fake_call.call.outcome is None


async def test_what_cannot_be_bridged(fake_call: FakeCall, autojump_clock: MockClock) -> None:
    """It is told, before anything has happened."""
    with pytest.raises(LocalProtocolError, match="max_delay"):
        async with open_stream_bridge(fake_call.call, object(), max_delay=0.05):
            pytest.fail("it is joined")
    _, server = memory_websocket_pair()
    with pytest.raises(LocalProtocolError, match="MP3"):
        await attach_phone_to_call(object(), MediaStream(server, send_mode="mp3"))


async def test_a_stream_that_has_ended() -> None:
    """Nothing is begun for a phone that has hung up."""
    _, server = memory_websocket_pair()
    stream = MediaStream(server)
    await stream.close()
    with trio.fail_after(5), pytest.raises(trio.BrokenResourceError, match="hung up"):
        await attach_phone_to_call(object(), stream)


def test_audio_changes_its_rate_on_the_way() -> None:
    """The phone's 8 kHz comes out at 48 kHz, and a speaker's 16 kHz too."""
    audio = BridgeAudio()
    blocks, mixed = [], []
    said, spoken = tone(440, rate=8000), tone(1000, rate=16000)
    for n in range(20):
        audio.put_phone(PcmData(8000, samples=said[160 * n :][:160]))
        audio.put_speaker("ann", PcmData(16000, samples=spoken[320 * n :][:320]))
        blocks.append(audio.take_phone())
        pcm = audio.take_mixed()
        if pcm is not None:
            assert (pcm.sample_rate, pcm.n_samples) == (RATE, BLOCK_SIZE)
            mixed.append(pcm.mono_int16())
    assert loudness(np.concatenate(blocks[8:]), 440) > 7500
    assert loudness(np.concatenate(mixed[8:]), 1000) > 7500


def test_silence_where_nobody_speaks() -> None:
    """The phone's track is silent then; to the phone nothing goes at all."""
    audio = BridgeAudio()
    assert not audio.take_phone().any()
    assert audio.take_phone().shape == (BLOCK_SIZE,)
    assert audio.take_mixed() is None
    audio.put_speaker("ann", PcmData(RATE, samples=tone(440, seconds=0.1)))
    audio.remove_speaker("ann")
    while audio.take_mixed() is not None:
        pass
    phone, others = audio.statistics()
    assert phone.level == 0
    assert others == {}
