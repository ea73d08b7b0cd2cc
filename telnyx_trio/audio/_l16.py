"""L16: 16-bit linear samples, and how to tell in which byte order they arrive.

RFC 3551, section 4.5.11, has L16 in network order, the high byte first. Users who have decoded
what Telnyx sends on a media socket report the low byte first; Telnyx's pages do not say. Hence the
standalone functions follow the RFC, and a media socket is listened to.

The right reading of audio can be predicted from one sample to the next, the wrong one hardly. How
much a reading *cannot* be predicted is measured as the energy that the best predictor of order two
leaves over. Such a predictor follows a tone of any pitch; plain differences of neighbours do not:
they take a loud tone above a quarter of the sample rate for noise. Audio that was 8 bits wide (or
came from a loud PCMA leg) may have one of its two bytes constant; then only the other one tells,
and it is judged as a high byte against itself as a low byte.
"""

from __future__ import annotations

from functools import lru_cache
from math import log10
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .._types import ByteOrder

_Reading: TypeAlias = NDArray[np.int16] | NDArray[np.int8] | NDArray[np.uint8]

_DTYPES: Final[dict[ByteOrder, str]] = {"big": ">i2", "little": "<i2"}

_LOCK_TIME: Final = 0.2
"""Seconds of voiced audio that decide."""

_VOICED_RMS: Final = 250.0
"""A packet is voiced from here on, 42 dB under full scale; idle lines stay far below."""

_LEAST_SAMPLES: Final = 8
"""Shorter packets are too short for a predictor of order two."""

_MOST_SAMPLES: Final = 4096
"""Of longer packets only the beginning is judged, so that none costs more than a millisecond."""

_LEAST_MEAN_EVIDENCE: Final = 0.05
"""Decades, averaged over what was voiced. Noise that fills the whole range stays below; speech and
tones measured 0.3 and more."""

_MOST_EVIDENCE: Final = 4.0
"""Decades that one packet can bring, so that none outweighs all others."""


def l16_decode(payload: bytes, order: ByteOrder) -> NDArray[np.int16]:
    """Decode L16 as int16 samples of shape (n,); a last odd byte is ignored."""
    return np.frombuffer(payload, _DTYPES[order], len(payload) // 2).astype(np.int16)


def l16_encode(samples: NDArray[np.int16], order: ByteOrder) -> bytes:
    """Encode int16 samples of shape (n,) as 2n bytes of L16."""
    return samples.astype(_DTYPES[order], copy=False).tobytes()


class ByteOrderDetector:
    """Find out the byte order of an L16 stream from its first voiced 200 ms.

    Args:
        sample_rate: of the stream, in Hz.
        channels: interleaved in the stream.
    """

    __slots__ = ("_channels", "_locked", "_quiet", "_sample_rate", "_voiced", "_voiced_samples")

    _locked: bool

    def __init__(self, sample_rate: int, channels: int = 1) -> None:
        self._sample_rate = sample_rate
        self._channels = channels
        self.reset()

    @property
    def locked(self) -> bool:
        """Whether ``order`` is decided for good."""
        return self._locked

    @property
    def order(self) -> ByteOrder | None:
        """The decision or, before it, the best guess; None while nothing points either way.

        Voiced packets outweigh quiet ones, however many.
        """
        evidence = self._voiced or self._quiet
        if evidence == 0:
            return None
        return "little" if evidence > 0 else "big"

    def observe(self, payload: bytes) -> ByteOrder | None:
        """Take one packet and say in which order to read it.

        Args:
            payload: begins with the first byte of a sample group; a cut last group is ignored.

        Returns:
            The smoother reading of this packet alone or, once ``locked``, the decision. None when
            the packet does not tell: silence, a constant, next to no samples.
        """
        if self._locked:
            return self.order
        group_size = 2 * self._channels
        n_samples = min(len(payload) // group_size, _MOST_SAMPLES)
        if n_samples < _LEAST_SAMPLES:
            return None
        payload = payload[: n_samples * group_size]
        evidence = self._evidence(payload)
        if evidence == 0:
            return None
        smoother: ByteOrder = "little" if evidence > 0 else "big"
        reading = l16_decode(payload, smoother).astype(np.float64)
        if np.dot(reading, reading) < _VOICED_RMS**2 * len(reading):
            self._quiet += evidence * n_samples
            return smoother
        self._voiced += evidence * n_samples
        self._voiced_samples += n_samples
        self._locked = (
            self._voiced_samples >= _LOCK_TIME * self._sample_rate
            and abs(self._voiced) >= _LEAST_MEAN_EVIDENCE * self._voiced_samples
        )
        return self.order if self._locked else smoother

    def reset(self) -> None:
        """Forget everything, the decision too."""
        # Decades by which "big" is rougher than "little", times samples.
        self._voiced = 0.0
        self._quiet = 0.0
        self._voiced_samples = 0
        self._locked = False

    def _evidence(self, payload: bytes) -> float:
        """Decades by which this packet is rougher read as "big" than as "little"."""
        first, second = np.frombuffer(payload, np.uint8).reshape(-1, self._channels, 2).T
        first_constant, second_constant = np.ptp(first) == 0, np.ptp(second) == 0
        if first_constant and second_constant:
            return 0.0
        little: _Reading
        big: _Reading
        if first_constant:
            little, big = second.view(np.int8), second
        elif second_constant:
            little, big = first, first.view(np.int8)
        else:
            little, big = (
                l16_decode(payload, order).reshape(-1, self._channels).T
                for order in ("little", "big")
            )
        # One is the energy of one step of one sample, so that it never divides by zero.
        decades = log10((_unpredicted(big) + 1) / (_unpredicted(little) + 1))
        return max(-_MOST_EVIDENCE, min(_MOST_EVIDENCE, decades))


@lru_cache(maxsize=8)
def _window(n_samples: int) -> NDArray[np.float64]:
    """Fades a packet in and out, since a predictor cannot foresee where it starts and ends."""
    return np.hanning(n_samples).astype(np.float64)


def _unpredicted(reading: _Reading) -> float:
    """Energy that the best predictor of order two leaves over; reading has (channels, n)."""
    values = reading * _window(reading.shape[1])
    r0 = float(np.vdot(values, values))
    if r0 == 0:
        return 0.0
    r1 = float(np.vdot(values[:, 1:], values[:, :-1]))
    r2 = float(np.vdot(values[:, 2:], values[:, :-2]))
    # Levinson and Durbin's recursion, two steps. |k1| < 1 for every finite signal but zero.
    k1 = r1 / r0
    rest = r0 * (1 - k1 * k1)
    k2 = (r2 - k1 * r1) / rest
    return max(0.0, rest * (1 - k2 * k2))
