from __future__ import annotations

from random import Random

import numpy as np
import pytest
from audio.make_vectors import VECTORS
from hypothesis import given, settings
from hypothesis import strategies as st

from telnyx_trio._errors import RemoteProtocolError
from telnyx_trio.audio._amr_wb import AmrWbReader

SPEECH_BITS = (132, 177, 253, 285, 317, 365, 397, 461, 477, 40)
FRAME_TYPES = (*range(10), 14, 15)
REQUESTS = (*range(9), 15)


def make_frame(frame_type: int, random: Random, quality: int = 1) -> bytes:
    """A frame in the storage format, of random bits."""
    n_bits = SPEECH_BITS[frame_type] if frame_type < 10 else 0
    n_octets = -(-n_bits // 8)
    body = (random.getrandbits(n_bits) if n_bits else 0) << n_octets * 8 - n_bits
    return bytes([frame_type << 3 | quality << 2]) + body.to_bytes(n_octets, "big")


def pack_aligned(frames: list[bytes], request: int) -> bytes:
    """RFC 4867, section 4.4, written from the sending side."""
    last = len(frames) - 1
    entries = [frame[0] | (0x80 if at < last else 0) for at, frame in enumerate(frames)]
    return bytes([request << 4, *entries]) + b"".join(frame[1:] for frame in frames)


def pack_tightly(frames: list[bytes], request: int) -> bytes:
    """RFC 4867, section 4.3, written from the sending side, in a text of zeros and ones."""
    bits = f"{request:04b}"
    for at, frame in enumerate(frames):
        bits += "1" if at < len(frames) - 1 else "0"
        bits += f"{frame[0] >> 2:05b}"
    for frame in frames:
        frame_type = frame[0] >> 3
        n_bits = SPEECH_BITS[frame_type] if frame_type < 10 else 0
        bits += "".join(f"{octet:08b}" for octet in frame[1:])[:n_bits]
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))


@settings(max_examples=200, deadline=None)
@given(
    frame_types=st.lists(st.sampled_from(FRAME_TYPES), min_size=1, max_size=6),
    request_mode=st.sampled_from(REQUESTS),
    seed=st.integers(0, 2**32),
    aligned=st.booleans(),
)
def test_frames_come_out_of_either_format(
    frame_types: list[int], request_mode: int, seed: int, aligned: bool
) -> None:
    """Whatever was packed is read again, and the reader says which format it was."""
    random = Random(seed)
    frames = [make_frame(frame_type, random) for frame_type in frame_types]
    reader = AmrWbReader()
    reader.read((pack_aligned if aligned else pack_tightly)([make_frame(8, random)], 15))
    assert reader.octet_aligned is aligned
    assert reader.read((pack_aligned if aligned else pack_tightly)(frames, request_mode)) == frames


@pytest.mark.parametrize("request_mode", REQUESTS)
@pytest.mark.parametrize("frame_type", range(10))
@pytest.mark.parametrize("aligned", [True, False])
def test_the_first_payload_tells(frame_type: int, request_mode: int, aligned: bool) -> None:
    """One payload with speech is enough, and is read right itself: of each kind 20 random ones."""
    random = Random(frame_type)
    for quality in (0, 1):
        for _ in range(10):
            frame = make_frame(frame_type, random, quality)
            reader = AmrWbReader()
            pack = pack_aligned if aligned else pack_tightly
            assert reader.read(pack([frame], request_mode)) == [frame]
            assert reader.octet_aligned is aligned


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xf0",
        b"\xf0\x44",  # an aligned header without its frame
        b"\xf0\x54" + bytes(60),  # frame type 10
        b"\xf0\xc4" + bytes(60),  # another frame is promised
        b"\xf0\x44" + bytes(61),  # too long
    ],
)
def test_what_is_no_amr_wb_is_an_error(payload: bytes) -> None:
    """Of that payload alone."""
    reader = AmrWbReader()
    with pytest.raises(RemoteProtocolError, match="no AMR-WB"):
        reader.read(payload)
    frame = make_frame(8, Random(1))
    assert reader.read(pack_tightly([frame], 15)) == [frame]


def test_recorded_frames() -> None:
    """What an encoder made comes through both formats."""
    reader = AmrWbReader()
    for frame in np.load(VECTORS)["amr_wb"][:5]:
        for pack in (pack_aligned, pack_tightly):
            assert reader.read(pack([frame.tobytes()], 15)) == [frame.tobytes()]
