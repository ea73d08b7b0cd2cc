"""The voice gate: speech told from the noise of a line by its pitch, at a fixed small cost.

Theory of operation. Every 20 ms the last 40 ms are looked at:

- Their spectrum from 100 to 1500 Hz, in bins of 25 Hz, is set against the noise that each bin was
  seen to have, in logarithms. So a line's constant noise, hum and hiss alike, counts for nothing.
- A voice has a pitch: its spectrum is a comb, with a tooth at each multiple of 75 to 360 Hz. Level,
  tilt and the slow curve of the formants are taken out, and what is left is correlated with combs
  of all pitches. The best correlation does not depend on how loud anything is. Noise, also noise
  that just became louder by 30 dB, is above 0.5 in one window of a hundred; the windows of speech
  are in 71 % over noise 20 dB down, in 60 % at 10 dB, in 46 % at 5 dB, and the rest are mostly
  those of hisses. Tones come as high as 0.6, but they are steady: two windows of a voice are hardly
  ever the same.
- Speech begins when enough of the last windows were voiced. It began where the power had risen, as
  a word may begin with a hiss that has no pitch. It goes on through hisses and stops, and ends when
  nothing of a voice was heard for the hangover.
- The noise of each bin is learnt all the time, in bounded steps: by up to 1.1 dB a window while
  nobody speaks, hardly at all while somebody does. The line begins as quiet, so that noise which is
  there from the start is learnt like a noise that comes later, and a caller who speaks from the
  start is heard.

Cost: some twenty calls into numpy a window, whatever the sample rate: audio is first averaged down
to 8 kHz or a little more, which is all that the pitch needs. What folds back by that is hiss.

The comb on a log spectrum is the cepstral pitch of A. M. Noll ("Cepstrum pitch determination",
JASA 41, 1967). Thresholds and rates were chosen on some fifty sentences of espeak-ng's, in ten
voices, and tried on 500 recorded prompts: benchmarks/voice_gate.py says how that came out, and
tests/audio/test_voice_gate.py holds it for the shipped speech.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ._voice_activity import SpeechEdge

_HOP: Final = 0.02
"""Seconds between windows, each of twice that: 40 ms show three periods of the lowest voice."""

_BASE_RATE: Final = 8000
_BIN_HZ: Final = 25.0
_LOWEST_BIN_HZ: Final = 100.0
_HIGHEST_BIN_HZ: Final = 1500.0
"""Of these bins the teeth of a comb are sharp; higher up a pitch that moves blurs them."""

_LOWEST_PITCH_HZ: Final = 75.0
_HIGHEST_PITCH_HZ: Final = 360.0
_N_COMBS: Final = 60

_N_SMOOTH: Final = 7
"""Cosines over the bins that make the slow curve of a spectrum; combs are quicker."""

_TAPER: Final = 0.8
"""By how much less the highest bin counts for a comb than the lowest."""

_VOICED: Final = 0.5
"""Correlation with a comb from which on a window is voiced."""

_VOICED_IN_SPEECH: Final = 0.45
"""The same once somebody speaks."""

_LEAST_POWER: Final = 4.0
"""Added to the power of what is correlated, so that a spectrum with no shape has no pitch."""

_LOUD: Final = 0.85
"""Mean of log(1 + power / noise) over the bins from which on a window is above the noise, in which
it is 0.6 on average."""

_STEADY: Final = 0.04
"""Change from window to window, against the logarithms themselves, under which a sound is a tone:
tones over noise 40 dB down have 0.03, a voice 0.1 to 0.2 and in one window of twenty 0.045."""

_ACTIVE: Final = 2.0
"""Power of a hop, against that of the noise, from which on it is active: 3 dB. So is a window above
the noise. What is active may belong to a word: hisses show in the power, low voices in the bins."""

_RATE: Final = 0.1
_RATE_IN_SPEECH: Final = 0.003
_MAX_STEP: Final = 4.0
"""Share of the difference by which the noise follows in a window, and the largest power, in terms
of the noise, that it follows: it rises by at most 30 % (1.1 dB) a window, by 0.9 % in speech."""

_QUIETEST_POWER: Final = 64.0
"""Square of the RMS, in int16 steps, below which noise is not followed: PCMU's steps near zero."""

_N_RECENT: Final = 6
"""Windows in which the voiced ones that begin speech must lie."""

_LONGEST_HISS: Final = 10
"""Windows after the last voiced one for which loud sound still belongs to speech."""

_MAX_LEAD_IN: Final = 15
"""Windows that a word may have been active before it was voiced."""

_MAX_PAUSE: Final = 2
"""Quiet windows inside of a word, as before the burst of a stop."""


class VoiceGate:
    """Tells speech from the noise of a phone line; a ``VoiceActivityDetector``.

    Args:
        sample_rate: of what it is given, in Hz, at least 8000.
        min_speech: seconds of voiced sound, within 120 ms, that begin speech; from 0.02 to 0.12.
            Less is quicker and errs more.
        hangover: seconds without a voice that end speech; at least 0.1.
        min_level_dbfs: RMS, in dB below full scale of int16, under which a voice is not meant: of
            somebody in the background, or our own that comes back as a faint echo.

    Raises:
        ValueError: one of them is out of bounds.
    """

    def __init__(
        self,
        sample_rate: int,
        *,
        min_speech: float = 0.06,
        hangover: float = 0.5,
        min_level_dbfs: float = -50.0,
    ) -> None:
        if sample_rate < _BASE_RATE:
            raise ValueError(f"the voice gate needs at least {_BASE_RATE} Hz, not {sample_rate}")
        if not _HOP <= min_speech <= _N_RECENT * _HOP:
            raise ValueError(f"min_speech must be from 0.02 to 0.12 s, not {min_speech}")
        if not hangover >= 0.1:
            raise ValueError(f"hangover must be at least 0.1 s, not {hangover}")
        self._factor = sample_rate // _BASE_RATE
        self._hop = round(sample_rate / self._factor * _HOP)
        self._hop_duration = self._hop * self._factor / sample_rate
        self._sample_rate = sample_rate
        self._min_voiced = round(min_speech / _HOP)
        self._max_quiet = round(hangover / _HOP)
        self._min_power = (32768.0 * 10 ** (min_level_dbfs / 20)) ** 2
        self._rest = np.empty(0, np.int16)
        self._window = np.zeros(2 * self._hop, np.float32)
        self._average = np.full(self._factor, 1 / self._factor, np.float32)
        self._transform = _make_transform(2 * self._hop, sample_rate / self._factor)
        self._combs, self._smooth = _make_combs()
        self._n_bins = n_bins = self._combs.shape[1]
        self._ones = np.full(n_bins, 1 / n_bins, np.float32)
        self._noise = np.full(n_bins, _QUIETEST_POWER, np.float32)
        self._noise_power = _QUIETEST_POWER
        self._levels = np.zeros(n_bins, np.float32)
        self._speaking = False
        # By window, whether it was voiced, the newest last.
        self._recent = [False] * _N_RECENT
        # Windows since the last that was voiced, since one that was active, since one of speech.
        self._since_voiced = _N_RECENT
        self._since_active = _MAX_PAUSE + 1
        self._since_speech = 0
        # Windows from the first that may belong to the word that goes on now to the last.
        self._active_for = 0

    def process(self, samples: NDArray[np.int16]) -> Sequence[SpeechEdge]:
        """Take the next samples; see ``VoiceActivityDetector``."""
        size = self._hop * self._factor
        if len(samples) == size and not len(self._rest):
            edge = self._look(samples)
            return () if edge is None else (edge,)
        samples = np.concatenate((self._rest, samples))
        edges = []
        for end in range(size, len(samples) + 1, size):
            edge = self._look(samples[end - size : end])
            if edge is not None:
                left = (len(samples) - end) / self._sample_rate
                edges.append(SpeechEdge(edge.begins, edge.ago + left))
        self._rest = samples[len(samples) - len(samples) % size :].copy()
        return edges

    def _look(self, samples: NDArray[np.int16]) -> SpeechEdge | None:
        """Look at the window that ends with these samples, one hop."""
        hop, window = self._hop, self._window
        window[:hop] = window[hop:]
        if self._factor == 1:
            window[hop:] = samples
        else:
            window[hop:] = samples.reshape(-1, self._factor).dot(self._average)
        newest = window[hop:]
        power = float(newest.dot(newest)) / hop
        parts = self._transform.dot(window)
        np.square(parts, out=parts)
        spectrum = parts[: self._n_bins] + parts[self._n_bins :]
        levels = np.log1p(spectrum / self._noise)
        loud = bool(levels.dot(self._ones) > _LOUD)
        pitch = self._pitch_strength(levels) if loud and power > self._min_power else 0.0
        self._levels = levels
        edge = self._decide(pitch, loud or power > _ACTIVE * self._noise_power)
        self._learn(spectrum, power)
        return edge

    def _pitch_strength(self, levels: NDArray[np.float32]) -> float:
        """Return the correlation with the best comb; 0.0 for tones."""
        change = levels - self._levels
        power = levels.dot(levels)
        if change.dot(change) < _STEADY * power:
            return 0.0
        fits = self._combs.dot(levels)
        curve = self._smooth.dot(levels)
        power -= curve.dot(curve)
        return float(fits.item(fits.argmax()) / math.sqrt(power + _LEAST_POWER))

    def _decide(self, pitch: float, active: bool) -> SpeechEdge | None:
        voiced = pitch > (_VOICED_IN_SPEECH if self._speaking else _VOICED)
        self._recent.append(voiced)
        del self._recent[0]
        self._since_voiced = 0 if voiced else self._since_voiced + 1
        self._since_active += 1
        if active:
            goes_on = self._since_active <= _MAX_PAUSE + 1
            self._active_for = self._active_for + self._since_active if goes_on else 1
            self._since_active = 0
        if not self._speaking:
            return self._begin() if self._recent.count(True) >= self._min_voiced else None
        if voiced or (active and self._since_voiced <= _LONGEST_HISS):
            self._since_speech = 0
            return None
        self._since_speech += 1
        return self._end() if self._since_speech >= self._max_quiet else None

    def _begin(self) -> SpeechEdge:
        self._speaking = True
        self._since_speech = 0
        lead_in = _N_RECENT - self._recent.index(True)
        active = self._active_for + self._since_active
        return self._edge(max(lead_in, min(active, lead_in + _MAX_LEAD_IN)))

    def _end(self) -> SpeechEdge:
        self._speaking = False
        return self._edge(self._since_speech)

    def _edge(self, n_windows: int) -> SpeechEdge:
        return SpeechEdge(self._speaking, n_windows * self._hop_duration)

    def _learn(self, spectrum: NDArray[np.float32], power: float) -> None:
        """Follow the noise."""
        rate = _RATE_IN_SPEECH if self._since_voiced < _N_RECENT else _RATE
        noise = self._noise
        step = np.minimum(spectrum, _MAX_STEP * noise)
        step -= noise
        step *= rate
        noise += step
        np.maximum(noise, _QUIETEST_POWER, out=noise)
        power = min(power, _MAX_STEP * self._noise_power)
        power = self._noise_power + rate * (power - self._noise_power)
        self._noise_power = max(power, _QUIETEST_POWER)


@lru_cache(8)
def _make_transform(n_samples: int, sample_rate: float) -> NDArray[np.float32]:
    """Make the matrix from a window of samples to its bins, real parts and then imaginary ones.

    The power of a bin is on average that of a sample, for white noise.
    """
    bins = np.arange(_LOWEST_BIN_HZ, _HIGHEST_BIN_HZ + 1, _BIN_HZ)
    phases = 2 * np.pi * np.outer(bins, np.arange(n_samples)) / sample_rate
    window = np.sin(np.pi * (np.arange(n_samples) + 0.5) / n_samples)
    window /= np.sqrt(window.dot(window))
    parts = np.concatenate((np.cos(phases) * window, np.sin(phases) * window))
    return _shared(parts)


@cache
def _make_combs() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Make the combs of all pitches, and the slow curves that are none.

    Returns:
        Shapes (n_combs, n_bins) and (n_smooth, n_bins); rows of length 1, combs less the curves.
    """
    bins = np.arange(_LOWEST_BIN_HZ, _HIGHEST_BIN_HZ + 1, _BIN_HZ)
    positions = (np.arange(len(bins)) + 0.5) / len(bins)
    smooth = np.cos(np.pi * np.outer(np.arange(_N_SMOOTH), positions))
    smooth /= np.linalg.norm(smooth, axis=1, keepdims=True)
    pitches = np.geomspace(_LOWEST_PITCH_HZ, _HIGHEST_PITCH_HZ, _N_COMBS)
    combs = np.cos(2 * np.pi * np.outer(1 / pitches, bins))
    combs *= 1 - _TAPER * positions
    combs -= combs @ smooth.T @ smooth
    combs /= np.linalg.norm(combs, axis=1, keepdims=True)
    return _shared(combs), _shared(smooth)


def _shared(matrix: NDArray[np.float64]) -> NDArray[np.float32]:
    """Make what all calls share, as it takes 150 kB."""
    shared = matrix.astype(np.float32)
    shared.flags.writeable = False
    return shared
