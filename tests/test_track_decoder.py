"""One track without holes: how much is made up, and by whom."""

from __future__ import annotations

from functools import cache
from itertools import chain

import numpy as np
import pytest

from telnyx_trio._errors import RemoteProtocolError
from telnyx_trio._track_decoder import TrackDecoder
from telnyx_trio._types import MissingAudio, TelnyxMediaFormat
from telnyx_trio.audio import PacketEncoder, PcmData
from telnyx_trio.testing import CALLER_WAV

PTIME = 0.02


@cache
def payloads(media_format: TelnyxMediaFormat) -> list[bytes]:
    """Recorded speech in packets of 20 ms."""
    encoder = PacketEncoder(media_format)
    encoder.byteorder = "little"
    speech = PcmData.from_wav(CALLER_WAV)
    return [*encoder.push(speech), *encoder.flush()]


def decode_all(
    media_format: TelnyxMediaFormat, lost: set[int], missing_audio: MissingAudio = "conceal"
) -> tuple[TrackDecoder, list[PcmData]]:
    """Decode speech of which some packets are lost."""
    decoder = TrackDecoder(media_format, "little", missing_audio)
    got: list[PcmData] = []
    for number, payload in enumerate(payloads(media_format)):
        now = number * PTIME
        if number in lost:
            got += decoder.make_up(1, now)
        else:
            pcm = decoder.decode(payload, now)
            assert pcm is not None
            got.append(pcm)
    return decoder, got


FORMATS = [
    TelnyxMediaFormat("PCMU", 8000),
    TelnyxMediaFormat("PCMA", 8000),
    TelnyxMediaFormat("L16", 16000),
    TelnyxMediaFormat("G722", 8000),
    TelnyxMediaFormat("OPUS", 16000),
]
LOST = set(chain(range(20, 250, 10), (51, 52, 53, 101, 102, 103, 104, 105, 106)))


@pytest.mark.parametrize("missing_audio", ["conceal", "silence"])
@pytest.mark.parametrize("media_format", FORMATS, ids=lambda value: value.encoding)
def test_no_sample_is_missing(media_format: TelnyxMediaFormat, missing_audio: MissingAudio) -> None:
    """Whatever the codec: as many samples as if nothing had been lost, in packets as usual."""
    _, whole = decode_all(media_format, set())
    decoder, got = decode_all(media_format, LOST, missing_audio)
    assert [pcm.n_samples for pcm in got] == [pcm.n_samples for pcm in whole]
    assert decoder.made_up == len(LOST)
    assert decoder.received == pytest.approx(sum(pcm.duration for pcm in whole))
    silent = [not np.any(got[number].samples) for number in sorted(LOST)]
    assert all(silent) == (missing_audio == "silence")


@pytest.mark.parametrize("media_format", FORMATS, ids=lambda value: value.encoding)
def test_concealment_does_not_click(media_format: TelnyxMediaFormat) -> None:
    """No step from sample to sample is larger than the speech itself has where it is loud."""
    _, whole = decode_all(media_format, set())
    _, got = decode_all(media_format, LOST)
    largest = max(int(np.abs(np.diff(_joined(whole))).max()), 1)
    assert np.abs(np.diff(_joined(got))).max() <= 1.2 * largest


def test_concealment_is_nearer_to_what_was_lost_than_silence() -> None:
    """Over 23 lost packets of speech, by more than a third."""
    lost = set(range(20, 250, 10))
    _, whole = decode_all(FORMATS[0], set())
    errors = {}
    for missing_audio in ("conceal", "silence"):
        _, got = decode_all(FORMATS[0], lost, missing_audio)
        error = [_spectrum(got[n]) - _spectrum(whole[n]) for n in lost]
        errors[missing_audio] = float(np.abs(error).mean())
    print(errors)
    assert errors["conceal"] < 0.65 * errors["silence"]


def _joined(packets: list[PcmData]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.concatenate([pcm.samples for pcm in packets]).astype(np.int64)


def _spectrum(pcm: PcmData) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Power in dB in bins of 50 Hz, quiet ones all alike."""
    spectrum = np.abs(np.fft.rfft(pcm.samples * np.hanning(pcm.n_samples))) + 100
    return np.asarray(20 * np.log10(spectrum))


def test_nothing_is_made_up_before_audio_came() -> None:
    """There is nothing to go by, and nothing to be late for."""
    decoder = TrackDecoder(FORMATS[0], "little", "conceal")
    assert list(decoder.make_up(3, 0.0)) == []
    assert decoder.packet_duration == 0.0


def test_made_up_audio_does_not_run_ahead_of_time() -> None:
    """A counter that jumps by 400 within 20 ms is believed for half a second, and once."""
    decoder = TrackDecoder(FORMATS[0], "little", "conceal")
    (payload, *_) = payloads(FORMATS[0])
    made = 0
    for number in range(100):
        now = number * PTIME
        decoder.decode(payload, now)
        made += len(list(decoder.make_up(400, now)))
    assert made == 24
    assert decoder.received == pytest.approx(99 * PTIME + 0.5)
    assert len(list(decoder.make_up(400, 99 * PTIME + 1))) == 50


def test_cut_sample_before_a_gap_is_forgotten() -> None:
    """Half a sample of L16 is not completed by a packet behind a gap."""
    decoder = TrackDecoder(TelnyxMediaFormat("L16", 16000), "little", "silence")
    decoder.decode(b"\x01\x00" * 320 + b"\x55", 0.0)
    assert len(list(decoder.make_up(1, 0.02))) == 1
    pcm = decoder.decode(b"\x02\x00" * 320, 0.04)
    assert pcm is not None
    assert pcm.n_samples == 320
    assert set(pcm.samples) == {2}


def test_opus_conceals_by_itself() -> None:
    """Its decoder's guess goes on where it was, also into the next packet."""
    media_format = TelnyxMediaFormat("OPUS", 16000)
    _, ours = decode_all(media_format, {50})
    _, silent = decode_all(media_format, {50}, "silence")
    assert np.any(ours[50].samples)
    assert ours[50].n_samples == 960
    assert not np.array_equal(ours[51].samples, silent[51].samples)


def test_undecodable_payload_is_an_error_still() -> None:
    """It is told, and the next one is decoded."""
    decoder = TrackDecoder(TelnyxMediaFormat("OPUS", 16000), "little", "conceal")
    good, *_ = payloads(TelnyxMediaFormat("OPUS", 16000))
    with pytest.raises(RemoteProtocolError):
        decoder.decode(b"\xff\xff\xff\xff", 0.0)
    pcm = decoder.decode(good, 0.0)
    assert pcm is not None
    assert pcm.n_samples == 960


def test_a_payload_without_a_whole_sample() -> None:
    """It is no packet: the sample is completed by the next one."""
    decoder = TrackDecoder(TelnyxMediaFormat("L16", 16000), "little", "conceal")
    assert decoder.decode(b"\x01", 0.0) is None
    pcm = decoder.decode(b"\x02", 0.0)
    assert pcm is not None
    assert list(pcm.samples) == [0x201]
