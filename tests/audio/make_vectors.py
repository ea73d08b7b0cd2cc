"""Make vectors.npz: speech coded by libraries that telnyx_trio does not use.

Run it where Debian's packages libspandsp2, libopus0 and libvo-amrwbenc0 are installed::

    python tests/audio/make_vectors.py

SpanDSP codes and decodes G722, libopus OPUS, and VisualOn's encoder AMR-WB at 23.85 kbit/s. The
speech is the first second of voice in telnyx_trio/testing/speech/caller.wav.
"""

from __future__ import annotations

import ctypes
import wave
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parent.parent.parent
SPEECH = ROOT / "telnyx_trio" / "testing" / "speech" / "caller.wav"
VECTORS = Path(__file__).parent / "vectors.npz"

PACKET = 320
APPLICATION_VOIP = 2048
FASTEST_MODE = 8


def read_speech() -> NDArray[np.int16]:
    """One second at 16 kHz."""
    with wave.open(str(SPEECH)) as reader:
        samples = np.frombuffer(reader.readframes(reader.getnframes()), "<i2")
    start = int(np.flatnonzero(np.abs(samples) > 500)[0])
    return samples[start : start + 16000].copy()


def address(array: NDArray[np.generic]) -> ctypes.c_void_p:
    """Where its first element lies."""
    return array.ctypes.data_as(ctypes.c_void_p)


def pointer(library: ctypes.CDLL, name: str, *arguments: object) -> ctypes.c_void_p:
    """Call a function that returns a pointer."""
    function = library[name]
    function.restype = ctypes.c_void_p
    return ctypes.c_void_p(function(*arguments))


def code_g722(speech: NDArray[np.int16]) -> dict[str, NDArray[np.generic]]:
    """Code and decode with SpanDSP, at 64 kbit/s."""
    spandsp = ctypes.CDLL("libspandsp.so.2")
    coded = np.zeros(len(speech) // 2, np.uint8)
    decoded = np.zeros(len(speech), np.int16)
    encoder = pointer(spandsp, "g722_encode_init", None, 64000, 0)
    spandsp.g722_encode(encoder, address(coded), address(speech), len(speech))
    decoder = pointer(spandsp, "g722_decode_init", None, 64000, 0)
    spandsp.g722_decode(decoder, address(decoded), address(coded), len(coded))
    return {"g722": coded, "g722_decoded": decoded}


def code_opus(speech: NDArray[np.int16]) -> dict[str, NDArray[np.generic]]:
    """Code and decode with libopus."""
    opus = ctypes.CDLL("libopus.so.0")
    encoder = pointer(opus, "opus_encoder_create", 16000, 1, APPLICATION_VOIP, None)
    decoder = pointer(opus, "opus_decoder_create", 48000, 1, None)
    packets, decoded = [], []
    for start in range(0, len(speech), PACKET):
        packet = np.zeros(1500, np.uint8)
        size = opus.opus_encode(
            encoder, address(speech[start:]), PACKET, address(packet), packet.size
        )
        packets.append(packet[:size])
        samples = np.zeros(3 * PACKET, np.int16)
        opus.opus_decode(decoder, address(packet), size, address(samples), samples.size, 0)
        decoded.append(samples)
    return {
        "opus": np.concatenate(packets),
        "opus_sizes": np.array([len(packet) for packet in packets]),
        "opus_decoded": np.concatenate(decoded),
    }


def code_amr_wb(speech: NDArray[np.int16]) -> dict[str, NDArray[np.generic]]:
    """Code with VisualOn's library, into frames of the storage format."""
    library = ctypes.CDLL("libvo-amrwbenc.so.0")
    encoder = pointer(library, "E_IF_init")
    frames = []
    for start in range(0, len(speech), PACKET):
        frame = np.zeros(100, np.uint8)
        mode, no_pauses = ctypes.c_int16(FASTEST_MODE), ctypes.c_int16(0)
        samples = speech[start : start + PACKET]
        size = library.E_IF_encode(encoder, mode, address(samples), address(frame), no_pauses)
        frames.append(frame[:size])
    return {"amr_wb": np.stack(frames)}


def main() -> None:
    """Write the file."""
    speech = read_speech()
    vectors: dict[str, Any] = {**code_g722(speech), **code_opus(speech), **code_amr_wb(speech)}
    np.savez_compressed(VECTORS, **vectors)


if __name__ == "__main__":
    main()
