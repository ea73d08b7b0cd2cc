"""PCMU and PCMA (ITU-T G.711) by table: one numpy ``take`` each way.

Both laws cut the magnitude into eight segments, each twice as steep as the one below, and code
sign, segment and 4 bits within the segment. PCMU works on 14 bits with a bias of 33, PCMA on 13
bits without. There are two traditions of how a negative int16 loses its lowest bits; the tables
follow CPython's audioop (an arithmetic shift), which the tests hold them against for every input.
The ITU's own reference software (G.191) rounds the other way for 508 of the 65,536 samples of
PCMU, by one code; PCMA is the same in both.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_PCMU_BIAS: Final = 33
_PCMU_LARGEST: Final = 8158
"""Largest 14-bit magnitude that has a code: segment 7 ends at 8191, less the bias."""

_SIGN: Final = 0x80
_PCMA_TOGGLE: Final = 0x55
"""PCMA inverts every other bit on the wire (G.711, table 1a, note)."""


def _segment(magnitude: NDArray[np.int32], first_end: int) -> NDArray[np.int32]:
    """Which segment a magnitude falls in: 0 below ``first_end``, then one for each doubling."""
    return np.searchsorted(first_end << np.arange(7), magnitude, side="right").astype(np.int32)


def _pcmu_codes() -> NDArray[np.uint8]:
    sample = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32) >> 2
    magnitude = np.minimum(np.abs(sample), _PCMU_LARGEST) + _PCMU_BIAS
    segment = _segment(magnitude, 64)
    code = (segment << 4) | ((magnitude >> (segment + 1)) & 0x0F)
    # The wire carries the complement; its sign bit is set for what is not negative.
    codes: NDArray[np.uint8] = (~np.where(sample < 0, code | _SIGN, code)).astype(np.uint8)
    return codes


def _pcma_codes() -> NDArray[np.uint8]:
    sample = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32) >> 3
    magnitude = np.where(sample < 0, ~sample, sample)
    segment = _segment(magnitude, 32)
    # Segments 0 and 1 have the same step.
    code = (segment << 4) | ((magnitude >> np.maximum(segment, 1)) & 0x0F)
    return (np.where(sample < 0, code, code | _SIGN) ^ _PCMA_TOGGLE).astype(np.uint8)


def _pcmu_samples() -> NDArray[np.int16]:
    code = ~np.arange(256, dtype=np.int32)
    segment = (code >> 4) & 0x07
    # The middle of the step, in 14 bits: mantissa and half a step, the bias taken off.
    magnitude = ((((code & 0x0F) << 1) + _PCMU_BIAS) << segment) - _PCMU_BIAS
    samples: NDArray[np.int16] = (np.where(code & _SIGN, -magnitude, magnitude) << 2).astype(
        np.int16
    )
    return samples


def _pcma_samples() -> NDArray[np.int16]:
    code = np.arange(256, dtype=np.int32) ^ _PCMA_TOGGLE
    segment = (code >> 4) & 0x07
    leading = np.where(segment > 0, 32, 0)
    magnitude = (((code & 0x0F) << 1) + 1 + leading) << np.maximum(segment - 1, 0)
    samples: NDArray[np.int16] = (np.where(code & _SIGN, magnitude, -magnitude) << 3).astype(
        np.int16
    )
    return samples


_PCMU_CODES: Final = _pcmu_codes()
_PCMA_CODES: Final = _pcma_codes()
_PCMU_SAMPLES: Final = _pcmu_samples()
_PCMA_SAMPLES: Final = _pcma_samples()


def pcmu_encode(samples: NDArray[np.int16]) -> bytes:
    """Encode int16 samples of shape (n,) as n bytes of PCMU."""
    return _PCMU_CODES.take(samples).tobytes()


def pcma_encode(samples: NDArray[np.int16]) -> bytes:
    """Encode int16 samples of shape (n,) as n bytes of PCMA."""
    return _PCMA_CODES.take(samples).tobytes()


def pcmu_decode(payload: bytes) -> NDArray[np.int16]:
    """Decode n bytes of PCMU as int16 samples of shape (n,)."""
    return _PCMU_SAMPLES.take(np.frombuffer(payload, np.uint8))


def pcma_decode(payload: bytes) -> NDArray[np.int16]:
    """Decode n bytes of PCMA as int16 samples of shape (n,)."""
    return _PCMA_SAMPLES.take(np.frombuffer(payload, np.uint8))
