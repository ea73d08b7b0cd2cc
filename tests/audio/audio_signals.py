"""Signals to test with, measures of what became of them, and the reference for G.711."""

from __future__ import annotations

import importlib
import warnings
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

Int16Array = NDArray[np.int16]


def reference_audioop() -> ModuleType:
    """CPython's audioop; from 3.13 on audioop-lts brings it under the same name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return importlib.import_module("audioop")


def tone(
    frequency: float, sample_rate: int, seconds: float = 1.0, level: float = 0.5
) -> Int16Array:
    """A sine; level 1.0 is full scale."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    values = 32767 * level * np.sin(2 * np.pi * frequency * time)
    return np.rint(values).astype(np.int16)


def noise(n_samples: int, seed: int = 1) -> Int16Array:
    """Every int16 alike."""
    return np.random.default_rng(seed).integers(-32768, 32768, n_samples).astype(np.int16)


def speech_like(rng: np.random.Generator, sample_rate: int, seconds: float = 1.0) -> Int16Array:
    """A voiced sound: a pulse train of random pitch through three random formants, some breath."""
    n_samples = round(seconds * sample_rate)
    pitch = rng.uniform(80, 300)
    values = (np.arange(n_samples) * pitch / sample_rate % 1 < pitch / sample_rate).astype(float)
    values += rng.uniform(0, 0.05) * rng.standard_normal(n_samples)
    for low, high in ((300, 900), (900, 2300), (2300, 3200)):
        ring = np.exp(-np.pi * rng.uniform(60, 200) / sample_rate)
        angle = 2 * np.pi * rng.uniform(low, high) / sample_rate
        period = np.arange(min(n_samples, sample_rate // 10))
        response = ring**period * np.cos(angle * period)
        values = np.convolve(values, response)[:n_samples]
    peak = 32767 * 10 ** (rng.uniform(-30, 0) / 20)
    scaled: Int16Array = np.rint(values / np.abs(values).max() * peak).astype(np.int16)
    return scaled


def sinad_db(samples: Int16Array, frequency: float, sample_rate: int) -> float:
    """Power of the tone over the power of all else, its first and last 50 ms left out."""
    tone_part, rest = _split_tone(samples, frequency, sample_rate)
    return float(10 * np.log10(np.mean(tone_part**2) / np.mean(rest**2)))


def level_db(samples: Int16Array, reference: float) -> float:
    """RMS over a reference RMS, first and last 50 ms of a second left out."""
    middle = samples[len(samples) // 20 : -len(samples) // 20].astype(np.float64)
    return float(10 * np.log10((float(np.mean(middle**2)) + 1e-9) / reference**2))


def log_spectral_distance_db(
    reference: Int16Array, samples: Int16Array, sample_rate: int, band: tuple[float, float]
) -> float:
    """How far two short-time spectra are apart, in dB: RMS over the band, mean over the frames.

    Frames of 32 ms, half overlapping; those count that are within 40 dB of the loudest. Differences
    30 dB below a frame's loudest part do not: nobody hears them.
    """
    size = round(0.032 * sample_rate)
    n_samples = min(len(reference), len(samples))
    starts = np.arange(0, n_samples - size, size // 2)
    bins = np.arange(size // 2 + 1) * sample_rate / size
    in_band = (bins >= band[0]) & (bins <= band[1])

    def powers(signal: Int16Array) -> NDArray[np.float64]:
        frames = signal[starts[:, np.newaxis] + np.arange(size)].astype(np.float64)
        spectrum = np.abs(np.fft.rfft(frames * np.hanning(size), axis=1)) ** 2
        return np.asarray(spectrum[:, in_band], np.float64)

    expected, found = powers(reference), powers(samples)
    energies = expected.sum(axis=1)
    voiced = energies > energies.max() * 1e-4
    floor = expected[voiced].max(axis=1, keepdims=True) * 1e-3
    distance = 10 * np.log10((expected[voiced] + floor) / (found[voiced] + floor))
    return float(np.sqrt((distance**2).mean(axis=1)).mean())


def align(reference: Int16Array, samples: Int16Array) -> Int16Array:
    """Take off the front by which ``samples`` are late, found by correlation."""
    size = len(reference) + len(samples)
    product = np.fft.rfft(samples.astype(float), size) * np.conj(
        np.fft.rfft(reference.astype(float), size)
    )
    lag = int(np.argmax(np.fft.irfft(product, size)[: len(samples)]))
    return samples[lag:]


def rms(samples: Int16Array) -> float:
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2)))


def _split_tone(
    samples: Int16Array, frequency: float, sample_rate: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    edge = sample_rate // 20
    middle = samples[edge:-edge].astype(np.float64)
    angle = 2 * np.pi * frequency / sample_rate * np.arange(len(middle))
    basis = np.stack((np.sin(angle), np.cos(angle)), axis=1)
    tone_part = basis @ np.linalg.lstsq(basis, middle, rcond=None)[0]
    return tone_part, middle - tone_part
