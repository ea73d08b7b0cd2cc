"""What each codec leaves of the shipped speech, given as agents give it, at 16 kHz.

The figures that docs/audio.md tells are what these tests print (``pytest -rP``).
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from audio.audio_signals import (
    Int16Array,
    align,
    level_db,
    log_spectral_distance_db,
    rms,
    sinad_db,
    tone,
)
from audio.make_vectors import SPEECH, VECTORS, read_speech

from telnyx_trio._types import TelnyxMediaFormat
from telnyx_trio.audio import PacketEncoder, PcmData, open_decoder

NARROW = (200.0, 3400.0)
WIDE = (100.0, 7000.0)

PATHS = [
    # Encoding and rate, band, and no more than this distance in dB.
    ("PCMU", 8000, NARROW, 0.3),
    ("PCMA", 8000, NARROW, 0.3),
    ("L16", 8000, NARROW, 0.02),
    ("L16", 16000, WIDE, 0.001),
    ("L16", 24000, WIDE, 0.02),
    ("G722", 8000, WIDE, 0.9),
    ("OPUS", 16000, WIDE, 0.4),
    ("OPUS", 48000, WIDE, 0.7),
]


@cache
def speech() -> PcmData:
    """All of the caller's recording."""
    return PcmData.from_wav(SPEECH)


def carry(media_format: TelnyxMediaFormat, pcm: PcmData) -> PcmData:
    """Through encoder and decoder, in packets."""
    encoder, decoder = PacketEncoder(media_format, "little"), open_decoder(media_format, "little")
    decoded = [decoder.decode(packet) for packet in (*encoder.push(pcm), *encoder.flush())]
    samples = np.concatenate([part.samples for part in decoded])
    return PcmData(media_format.audio_sample_rate, "s16", samples)


def distance(
    reference: PcmData, carried: PcmData, sample_rate: int, band: tuple[float, float]
) -> float:
    """Compare at one rate, the delay taken off."""
    one, other = (pcm.resample(sample_rate).mono_int16() for pcm in (reference, carried))
    return log_spectral_distance_db(one, align(one, other), sample_rate, band)


@pytest.mark.parametrize(("encoding", "rate", "band", "at_most"), PATHS)
def test_log_spectral_distance_on_speech(
    encoding: str, rate: int, band: tuple[float, float], at_most: float
) -> None:
    """Within the band of the codec, the speech that comes out is the one that went in."""
    carried = carry(TelnyxMediaFormat(encoding, rate), speech())
    measured = distance(speech(), carried, 8000 if band is NARROW else 16000, band)
    print(f"{encoding} {rate}: {measured:.2f} dB")
    assert measured < at_most


def test_log_spectral_distance_of_amr_wb() -> None:
    """Of the recorded second at 23.85 kbit/s, which has been through the encoder's loss as well."""
    decoder = open_decoder(TelnyxMediaFormat("AMR-WB", 16000))
    with np.load(VECTORS) as vectors:
        payloads = [b"\xf0" + frame.tobytes() for frame in vectors["amr_wb"]]
    samples = np.concatenate([decoder.decode(payload).samples for payload in payloads])
    reference = PcmData(16000, "s16", read_speech())
    measured = distance(reference, PcmData(16000, "s16", samples), 16000, (100.0, 6400.0))
    print(f"AMR-WB: {measured:.2f} dB")
    assert measured < 2.2


def test_the_measure_sees_what_is_wrong() -> None:
    """A narrow band sold as a wide one, the wrong speed and the wrong bytes are far off."""
    narrow = carry(TelnyxMediaFormat("PCMU"), speech())
    assert distance(speech(), narrow, 16000, WIDE) > 1.8
    slow = PcmData(16000, "s16", speech().resample(17000).samples)
    assert distance(speech(), slow, 16000, WIDE) > 1.8
    swapped = PcmData(16000, "s16", speech().mono_int16().byteswap())
    assert distance(speech(), swapped, 16000, WIDE) > 1.8


@pytest.mark.parametrize("frequency", [4600, 5000, 6000, 7500])
@pytest.mark.parametrize(("encoding", "at_most"), [("PCMU", -65), ("PCMA", -62), ("L16", -80)])
def test_alias_of_wide_audio_on_a_narrow_leg(
    encoding: str, at_most: float, frequency: float
) -> None:
    """A tone of 16 kHz audio that an 8 kHz leg cannot carry does not come back as another.

    PCMA has no silence: its least step, of 8, is what is left there.
    """
    source = tone(frequency, 16000, 1.0)
    carried = carry(TelnyxMediaFormat(encoding, 8000), PcmData(16000, "s16", source))
    measured = level_db(carried.mono_int16(), rms(source))
    print(f"{encoding} {frequency}: {measured:.1f} dB")
    assert measured < at_most


@pytest.mark.parametrize(
    ("encoding", "rate", "frequency", "at_least"),
    [
        ("PCMU", 8000, 1000, 32),
        ("PCMA", 8000, 1000, 33),
        ("L16", 8000, 1000, 90),
        ("L16", 16000, 1000, 88),
        ("L16", 16000, 6000, 88),
        ("L16", 24000, 6000, 90),
    ],
)
def test_sinad_of_a_tone(encoding: str, rate: int, frequency: float, at_least: float) -> None:
    """Resampled to the rate of the codec and through it, in dB."""
    source = PcmData(16000, "s16", tone(frequency, 16000, 2.0))
    carried: Int16Array = carry(TelnyxMediaFormat(encoding, rate), source).mono_int16()
    measured = sinad_db(carried, frequency, rate)
    print(f"{encoding} {rate} {frequency}: {measured:.1f} dB")
    assert measured > at_least
