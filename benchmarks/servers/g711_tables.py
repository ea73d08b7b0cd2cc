"""G.711 by numpy tables, for the servers that have no codecs of their own."""

import numpy as np


def _decode(value: int) -> int:
    value = ~value & 0xFF
    magnitude = (((value & 0x0F) << 3) + 0x84) << ((value & 0x70) >> 4)
    return (0x84 - magnitude) if value & 0x80 else (magnitude - 0x84)


DECODE = np.array([_decode(value) for value in range(256)], np.int16)
"""Linear samples of PCMU bytes."""

ENCODE = np.zeros(65536, np.uint8)
"""PCMU bytes of linear samples, seen as unsigned."""

_SORTED = np.argsort(DECODE, kind="stable")
_MIDDLES = (DECODE[_SORTED][1:].astype(int) + DECODE[_SORTED][:-1]) / 2
_LINEAR = np.arange(-32768, 32768)
ENCODE[_LINEAR & 0xFFFF] = _SORTED[np.searchsorted(_MIDDLES, _LINEAR)]
ENCODE[0] = 0xFF


def decode(payload: bytes) -> "np.ndarray":
    """Return the samples of a payload."""
    return DECODE[np.frombuffer(payload, np.uint8)]


def encode(pcm: "np.ndarray") -> bytes:
    """Return the payload of samples."""
    return ENCODE[pcm.view(np.uint16)].tobytes()
