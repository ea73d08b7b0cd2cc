from __future__ import annotations

import copy
import enum
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from audio.audio_signals import noise, rms, sinad_db, tone

from telnyx_trio import InvalidWav
from telnyx_trio.audio import PcmData


class AudioFormat(str, enum.Enum):  # noqa: UP042  # getstream's is of this older kind
    S16 = "s16"
    F32 = "f32"


def test_keywords_are_those_of_getstream() -> None:
    """Code that makes a PcmData for the Vision Agents plugin makes one of ours."""
    samples = np.array([1, 2], np.int16)
    pcm = PcmData(samples=samples, sample_rate=16000, format=AudioFormat.S16, channels=1)
    assert (pcm.sample_rate, pcm.format, pcm.channels) == (16000, "s16", 1)
    assert pcm.samples is samples


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("s16", "s16"),
        ("int16", "s16"),
        ("S16", "s16"),
        ("f32", "f32"),
        ("float32", "f32"),
        (AudioFormat.S16, "s16"),
        (AudioFormat.F32, "f32"),
    ],
)
def test_format_names(name: str, format: str) -> None:
    """Every spelling becomes a plain "s16" or "f32", and so does the dtype of no samples."""
    pcm = PcmData(8000, name)
    assert (pcm.format, type(pcm.format)) == (format, str)
    assert pcm.samples.dtype == {"s16": np.int16, "f32": np.float32}[format]


def test_no_samples() -> None:
    """None is an empty stretch, in as many channels as said."""
    assert PcmData(8000).samples.shape == (0,)
    assert PcmData(8000, channels=2).samples.shape == (2, 0)
    assert PcmData(8000).duration == 0


@pytest.mark.parametrize("shape", [(6,), (1, 6), (6, 1)])
def test_mono_is_flat(shape: tuple[int, ...]) -> None:
    """One channel is (n,), in whatever shape it came."""
    samples = np.arange(6, dtype=np.int16)
    assert PcmData(8000, "s16", samples.reshape(shape)).samples.tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "samples",
    [
        [[0, 2, 4], [1, 3, 5]],
        [[0, 1], [2, 3], [4, 5]],
        [0, 1, 2, 3, 4, 5],
    ],
    ids=["planar", "groups", "interleaved"],
)
def test_stereo_is_planar(samples: list[Any]) -> None:
    """Two channels are (2, n), in whatever shape they came."""
    pcm = PcmData(8000, "s16", np.array(samples, np.int16), channels=2)
    assert pcm.samples.tolist() == [[0, 2, 4], [1, 3, 5]]
    assert pcm.n_samples == 3


def test_square_arrays_are_planar() -> None:
    """(2, 2) can be read both ways; channels come first, as in getstream."""
    samples = np.array([[1, 2], [3, 4]], np.int16)
    assert PcmData(8000, "s16", samples, channels=2).samples.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("shape", "channels"), [((2, 6), 1), ((5,), 2), ((3, 4), 2), ((1, 2, 3), 1), ((), 1)]
)
def test_shapes_that_do_not_fit_the_channels(shape: tuple[int, ...], channels: int) -> None:
    """They are refused rather than guessed at."""
    with pytest.raises(ValueError, match="shape"):
        PcmData(8000, "s16", np.zeros(shape, np.int16), channels=channels)


@pytest.mark.parametrize(
    ("format", "dtype", "hint"),
    [
        ("s16", np.float32, "format='f32'"),
        ("s16", np.int32, "astype"),
        ("s16", ">i2", "astype"),
        ("f32", np.float64, "astype"),
        ("f32", np.int16, "format='s16'"),
    ],
)
def test_dtype_must_match_the_format(format: str, dtype: Any, hint: str) -> None:
    """The error says what to do."""
    with pytest.raises(TypeError, match=hint):
        PcmData(8000, format, np.zeros(4, dtype))


def test_samples_must_be_an_array() -> None:
    """A list has no dtype to check."""
    samples: Any = [1, 2]
    with pytest.raises(TypeError, match="numpy array, not list"):
        PcmData(8000, "s16", samples)


@pytest.mark.parametrize(("rate", "channels"), [(0, 1), (-8000, 1), (8000, 0)])
def test_impossible_rates_and_channels(rate: int, channels: int) -> None:
    """They would divide by zero later."""
    with pytest.raises(ValueError, match="impossible"):
        PcmData(rate, channels=channels)


def test_unknown_format() -> None:
    """The error names the two there are."""
    with pytest.raises(ValueError, match="'s16' or 'f32'"):
        PcmData(8000, "s24")


def test_duration() -> None:
    """Seconds and milliseconds of one channel's samples."""
    pcm = PcmData(8000, "s16", np.zeros((2, 160), np.int16), channels=2)
    assert (pcm.duration, pcm.duration_ms, pcm.n_samples) == (0.02, 20.0, 160)


def test_attributes_cannot_be_assigned() -> None:
    """A PcmData that several tasks hold does not change under them."""
    pcm: Any = PcmData(8000)
    for name in ("sample_rate", "format", "samples", "channels", "anything"):
        with pytest.raises(AttributeError, match=name):
            setattr(pcm, name, 1)
        with pytest.raises(AttributeError, match=name):
            delattr(pcm, name)


@pytest.mark.parametrize("channels", [1, 2])
def test_it_can_be_copied(channels: int) -> None:
    """By copy and pickle, as values can."""
    samples = np.arange(4, dtype=np.float32)
    pcm = PcmData(16000, "f32", samples, channels=channels)
    for again in (copy.copy(pcm), copy.deepcopy(pcm), pickle.loads(pickle.dumps(pcm))):
        assert again == pcm
    assert copy.deepcopy(pcm).samples is not pcm.samples


class Labelled(PcmData):
    """With more to tell, and a constructor of its own."""

    def __init__(self, label: str) -> None:
        super().__init__(8000, samples=np.arange(4, dtype=np.int16))
        self.label = label


def test_a_subclass_has_attributes_of_its_own() -> None:
    """They can be assigned and are copied; the audio is a value as ever."""
    pcm = Labelled("a")
    pcm.label = "b"
    for again in (copy.copy(pcm), copy.deepcopy(pcm), pickle.loads(pickle.dumps(pcm))):
        assert type(again) is Labelled
        assert again == pcm
        assert again.label == "b"
    with pytest.raises(AttributeError, match="sample_rate"):
        pcm.sample_rate = 16000
    del pcm.label
    assert not hasattr(pcm, "label")


def test_repr() -> None:
    """Length, rate, channels and format, not the samples."""
    assert repr(PcmData(8000, "s16", np.zeros(160, np.int16))) == (
        "PcmData(0.020 s, 8000 Hz, 1 channel, s16)"
    )
    assert repr(PcmData(48000, "f32", channels=2)) == "PcmData(0.000 s, 48000 Hz, 2 channels, f32)"


def test_equality() -> None:
    """Equal when everything is; never equal to something else; no hash."""
    pcm = PcmData(8000, "s16", np.array([1, 2], np.int16))
    assert pcm == PcmData(8000, "s16", np.array([1, 2], np.int16))
    assert pcm != PcmData(8000, "s16", np.array([1, 3], np.int16))
    assert pcm != PcmData(16000, "s16", np.array([1, 2], np.int16))
    assert pcm != PcmData(8000, "f32", np.array([1, 2], np.float32))
    assert pcm != PcmData(8000, "s16", np.array([1, 2], np.int16), channels=2)
    assert pcm != "pcm"
    with pytest.raises(TypeError):
        hash(pcm)


def test_float32_to_s16_is_scaled_and_clipped() -> None:
    """Full scale is 32768; both ends hold, what is no number is silence."""
    values = [0.0, 0.5, 1.0, -1.0, 2.0, -2.0, np.nan, np.inf, -np.inf, 1 / 32768, 3e38]
    pcm = PcmData(8000, "f32", np.array(values, np.float32)).to_s16()
    assert pcm.format == "s16"
    assert pcm.samples.tolist() == [
        0, 16384, 32767, -32768, 32767, -32768, 0, 32767, -32768, 1, 32767,
    ]  # fmt: skip


def test_every_sample_survives_float32() -> None:
    """To float32 and back gives all 65,536 values unchanged, none beyond full scale."""
    pcm = PcmData(8000, "s16", np.arange(-32768, 32768, dtype=np.int16))
    as_float = pcm.to_float32()
    assert as_float.samples.dtype == np.float32
    assert (as_float.samples.min(), as_float.samples.max()) == (-1.0, 32767 / 32768)
    assert as_float.to_s16() == pcm


def test_conversions_to_the_same_are_free() -> None:
    """What is already as asked for comes back itself."""
    pcm = PcmData(8000, "s16", noise(10))
    assert pcm.to_s16() is pcm
    assert pcm.to_mono() is pcm
    assert pcm.resample(8000) is pcm
    as_float = pcm.to_float32()
    assert as_float.to_float32() is as_float


def test_conversions_keep_stereo() -> None:
    """Format conversions leave rate and channels."""
    pcm = PcmData(44100, "s16", noise(20), channels=2)
    assert pcm.to_float32().channels == 2
    assert pcm.to_float32().to_s16() == pcm


def test_mono_is_the_mean() -> None:
    """Full scale does not wrap around, opposite channels cancel."""
    loud = PcmData(8000, "s16", np.full((2, 3), 32767, np.int16), channels=2)
    assert loud.to_mono().samples.tolist() == [32767] * 3
    opposite = PcmData(8000, "s16", np.array([[32767, 100], [-32767, 50]], np.int16), channels=2)
    assert opposite.to_mono().samples.tolist() == [0, 75]
    as_float = PcmData(8000, "f32", np.array([[1, 0], [0, 0.5]], np.float32), channels=2)
    assert as_float.to_mono().samples.tolist() == [0.5, 0.25]
    assert as_float.to_mono().format == "f32"


def test_mono_int16() -> None:
    """Samples of any PcmData as the encoders need them."""
    pcm = PcmData(8000, "f32", np.array([[1, 0], [0, 0.5]], np.float32), channels=2)
    assert pcm.mono_int16().dtype == np.int16
    assert pcm.mono_int16().tolist() == [16384, 8192]


@pytest.mark.parametrize("to_rate", [8000, 16000, 24000, 44100, 48000])
@pytest.mark.parametrize("from_rate", [8000, 22050, 48000])
@pytest.mark.parametrize("n_samples", [0, 1, 7, 160, 4801])
def test_resample_length(from_rate: int, to_rate: int, n_samples: int) -> None:
    """round(n * ratio) samples, never stretched."""
    pcm = PcmData(from_rate, "s16", np.zeros(n_samples, np.int16)).resample(to_rate)
    assert pcm.n_samples == round(n_samples * to_rate / from_rate)
    assert pcm.sample_rate == to_rate


@pytest.mark.parametrize("format", ["s16", "f32"])
def test_resample_quality(format: str) -> None:
    """70 dB for both formats, the format kept, the delay made up for."""
    pcm = PcmData(48000, "s16", tone(1000, 48000))
    resampled = (pcm if format == "s16" else pcm.to_float32()).resample(8000)
    assert resampled.format == format
    samples = resampled.mono_int16()
    assert sinad_db(samples, 1000, 8000) >= 70
    error = (samples.astype(np.int32) - tone(1000, 8000)).astype(np.int16)[100:-100]
    assert rms(error) < rms(samples) / 3000


def test_resample_keeps_channels_apart() -> None:
    """Each channel comes out as it does alone."""
    left, right = noise(480, seed=1), noise(480, seed=2)
    both = PcmData(48000, "s16", np.stack((left, right)), channels=2).resample(8000)
    assert both.channels == 2
    for samples, channel in zip((left, right), both.samples, strict=True):
        assert np.array_equal(PcmData(48000, "s16", samples).resample(8000).samples, channel)


def test_resample_survives_what_is_no_number() -> None:
    """NaN and infinity stay where they are instead of spoiling their surroundings."""
    samples = np.zeros(4800, np.float32)
    samples[2400:2402] = [np.nan, np.inf]
    resampled = PcmData(48000, "f32", samples).resample(8000).samples
    assert np.isfinite(resampled).all()
    assert not resampled[:300].any()


def test_resample_to_other_channels() -> None:
    """Down to one is the mean; from one is copies."""
    stereo = PcmData(8000, "s16", np.array([[2, 4], [4, 8]], np.int16), channels=2)
    assert stereo.resample(8000, target_channels=1).samples.tolist() == [3, 6]
    mono = PcmData(8000, "s16", np.array([1, 2], np.int16))
    assert mono.resample(8000, target_channels=2).samples.tolist() == [[1, 2], [1, 2]]
    assert mono.resample(16000, 2).samples.shape == (2, 4)


@pytest.mark.parametrize("channels", [0, 3])
def test_resample_to_impossible_channels(channels: int) -> None:
    """Nobody knows what three channels of two should be."""
    with pytest.raises(ValueError, match="channels"):
        PcmData(8000, channels=2).resample(8000, channels)


def test_resample_to_an_impossible_rate() -> None:
    """The error names it."""
    with pytest.raises(ValueError, match="positive, got 0"):
        PcmData(8000).resample(0)


@pytest.mark.parametrize(("format", "channels"), [("s16", 1), ("s16", 2), ("f32", 1), ("f32", 3)])
def test_bytes_round_trip(format: str, channels: int) -> None:
    """Bytes are interleaved and give back what was put in."""
    pcm = PcmData(8000, "s16", noise(30), channels=channels)
    if format == "f32":
        pcm = pcm.to_float32()
    assert PcmData.from_bytes(pcm.to_bytes(), 8000, format, channels) == pcm


def test_bytes_are_little_endian_and_interleaved() -> None:
    """Left, right, left, right; low byte first."""
    pcm = PcmData(8000, "s16", np.array([[1, 3], [2, 4]], np.int16), channels=2)
    assert pcm.to_bytes() == b"\1\0\2\0\3\0\4\0"


def test_from_bytes_defaults() -> None:
    """16 kHz, int16, mono, as in getstream."""
    pcm = PcmData.from_bytes(b"\1\0\2\0")
    assert (pcm.sample_rate, pcm.format, pcm.samples.tolist()) == (16000, "s16", [1, 2])


def test_from_bytes_ignores_an_incomplete_group() -> None:
    """Neither half a sample nor half a group is audio."""
    assert PcmData.from_bytes(b"\1\0\2").samples.tolist() == [1]
    assert PcmData.from_bytes(b"\1\0\2\0\3\0", channels=2).samples.tolist() == [[1], [2]]
    assert PcmData.from_bytes(b"\1").n_samples == 0


def test_from_bytes_gives_samples_to_write() -> None:
    """The array is not a view of the bytes."""
    pcm = PcmData.from_bytes(b"\1\0")
    pcm.samples[0] = 7
    assert pcm.samples[0] == 7


@pytest.mark.parametrize("channels", [1, 2])
def test_wav_round_trip(channels: int, tmp_path: Path) -> None:
    """By file and by content."""
    pcm = PcmData(44100, "s16", noise(30), channels=channels)
    pcm.write_wav(tmp_path / "a.wav")
    assert PcmData.from_wav(tmp_path / "a.wav") == pcm
    assert PcmData.from_wav(str(tmp_path / "a.wav")) == pcm
    assert PcmData.from_wav(pcm.to_wav_bytes()) == pcm


def test_wav_of_float32_is_16_bit() -> None:
    """Scaled and clipped as by ``to_s16``."""
    pcm = PcmData(8000, "f32", np.array([0.5, 2.0], np.float32))
    assert PcmData.from_wav(pcm.to_wav_bytes()).samples.tolist() == [16384, 32767]


def test_from_wav_refuses_other_files(tmp_path: Path) -> None:
    """A typed error for what is no WAV, the usual one for what is not there."""
    with pytest.raises(InvalidWav):
        PcmData.from_wav(b"no wav at all")
    with pytest.raises(FileNotFoundError):
        PcmData.from_wav(tmp_path / "missing.wav")
