"""One payload to ``PcmData`` and back, without state: the Vision Agents plugin's eight functions.

For a stream use a ``Decoder`` and a ``PacketEncoder``, which keep what one payload leaves over.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from .._types import TELNYX_DEFAULT_SAMPLE_RATE, TELNYX_L16_SAMPLE_RATE, ByteOrder
from ._codecs import require_encoding
from ._g711 import pcma_decode, pcma_encode, pcmu_decode, pcmu_encode
from ._l16 import l16_decode, l16_encode
from ._pcm import PcmData

_STATELESS: Final = ("PCMU", "PCMA", "L16")
"""The other codecs remember what went before, so that one payload alone means little."""


def pcmu_to_pcm(payload: bytes) -> PcmData:
    """Decode PCMU at 8 kHz mono."""
    return PcmData(TELNYX_DEFAULT_SAMPLE_RATE, "s16", pcmu_decode(payload))


def pcma_to_pcm(payload: bytes) -> PcmData:
    """Decode PCMA at 8 kHz mono."""
    return PcmData(TELNYX_DEFAULT_SAMPLE_RATE, "s16", pcma_decode(payload))


def l16_to_pcm(
    payload: bytes, sample_rate: int = TELNYX_L16_SAMPLE_RATE, *, byteorder: ByteOrder = "big"
) -> PcmData:
    """Decode mono L16; a last odd byte is ignored.

    Args:
        payload: 2n bytes.
        sample_rate: in Hz.
        byteorder: RFC 3551, section 4.5.11, has "big".
    """
    return PcmData(sample_rate, "s16", l16_decode(payload, byteorder))


def pcm_to_pcmu(pcm: PcmData) -> bytes:
    """Encode as PCMU at 8 kHz mono, from any rate, channels and format."""
    return pcmu_encode(_mono_samples(pcm, TELNYX_DEFAULT_SAMPLE_RATE))


def pcm_to_pcma(pcm: PcmData) -> bytes:
    """Encode as PCMA at 8 kHz mono, from any rate, channels and format."""
    return pcma_encode(_mono_samples(pcm, TELNYX_DEFAULT_SAMPLE_RATE))


def pcm_to_l16(
    pcm: PcmData, sample_rate: int = TELNYX_L16_SAMPLE_RATE, *, byteorder: ByteOrder = "big"
) -> bytes:
    """Encode as mono L16, from any rate, channels and format.

    Args:
        pcm: what to encode.
        sample_rate: of the payload, in Hz.
        byteorder: RFC 3551, section 4.5.11, has "big".
    """
    return l16_encode(_mono_samples(pcm, sample_rate), byteorder)


def telnyx_payload_to_pcm(
    payload: bytes,
    encoding: str,
    sample_rate: int | None = None,
    *,
    byteorder: ByteOrder = "big",
) -> PcmData:
    """Decode a mono payload by the name of its encoding.

    Args:
        payload: decoded from base64.
        encoding: "PCMU", "PCMA" or "L16", in whatever case.
        sample_rate: of L16, in Hz; None means 16000. G.711 is 8 kHz, whatever is said here.
        byteorder: of L16.

    Raises:
        UnsupportedEncoding: another encoding.
    """
    name = require_encoding(encoding, _STATELESS)
    if name == "PCMU":
        return pcmu_to_pcm(payload)
    if name == "PCMA":
        return pcma_to_pcm(payload)
    return l16_to_pcm(payload, _l16_rate(sample_rate), byteorder=byteorder)


def pcm_to_telnyx_payload(
    pcm: PcmData,
    encoding: str,
    sample_rate: int | None = None,
    *,
    byteorder: ByteOrder = "big",
) -> bytes:
    """Encode as one mono payload, from any rate, channels and format.

    Args:
        pcm: what to encode.
        encoding: "PCMU", "PCMA" or "L16", in whatever case.
        sample_rate: of L16, in Hz; None means 16000. G.711 is 8 kHz, whatever is said here.
        byteorder: of L16.

    Raises:
        UnsupportedEncoding: another encoding.
    """
    name = require_encoding(encoding, _STATELESS)
    if name == "PCMU":
        return pcm_to_pcmu(pcm)
    if name == "PCMA":
        return pcm_to_pcma(pcm)
    return pcm_to_l16(pcm, _l16_rate(sample_rate), byteorder=byteorder)


def _mono_samples(pcm: PcmData, sample_rate: int) -> NDArray[np.int16]:
    return pcm.resample(sample_rate, target_channels=1).mono_int16()


def _l16_rate(sample_rate: int | None) -> int:
    return TELNYX_L16_SAMPLE_RATE if sample_rate is None else sample_rate
