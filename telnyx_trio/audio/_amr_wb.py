"""AMR-WB payloads (RFC 4867) to single frames, as decoders take them.

Telnyx does not say which of the two payload formats its media sockets use, so it is found out. A
payload names the frames that it holds, and so its own length, in either format; one that fits both
readings is nearly impossible (the tests look for one), and is then read as the last clear one.

Interleaving, checksums and more than one channel are not read: they have to be negotiated, and a
media socket negotiates nothing.
"""

from __future__ import annotations

from typing import Final

from .._errors import RemoteProtocolError

_SPEECH_BITS: Final = {
    0: 132,  # 6.60 kbit/s
    1: 177,
    2: 253,
    3: 285,
    4: 317,
    5: 365,
    6: 397,
    7: 461,
    8: 477,  # 23.85 kbit/s
    9: 40,  # comfort noise
    14: 0,  # a frame that was lost on its way to the sender
    15: 0,  # nothing to send
}
"""Bits of a frame by its type (3GPP TS 26.201, table 2); types 10 to 13 are not in use."""


class AmrWbReader:
    """Take the frames out of the payloads of one stream.

    Attributes:
        octet_aligned: the format of the payloads so far; None before the first clear one.
    """

    def __init__(self) -> None:
        self.octet_aligned: bool | None = None

    def read(self, payload: bytes) -> list[bytes]:
        """Return the frames of a payload, oldest first.

        Returns:
            Frames in the storage format (RFC 4867, section 5): one octet of header, then the bits.

        Raises:
            RemoteProtocolError: the payload is of neither format.
        """
        aligned, packed = _read_octet_aligned(payload), _read_bandwidth_efficient(payload)
        if aligned is not None and (packed is None or self.octet_aligned is not False):
            if packed is None:
                self.octet_aligned = True
            return aligned
        if packed is None:
            raise RemoteProtocolError(f"{len(payload)} bytes are no AMR-WB", event="media")
        if aligned is None:
            self.octet_aligned = False
        return packed


def _read_octet_aligned(payload: bytes) -> list[bytes] | None:
    """Read section 4.4: every field begins a new octet. None: it is something else."""
    if len(payload) < 2 or payload[0] & 0x0F:
        return None
    position = 1
    headers = []
    more = True
    while more:
        if position >= len(payload) or payload[position] & 0x03:
            return None
        more = bool(payload[position] & 0x80)
        headers.append(payload[position] & 0x7C)
        position += 1
    frames = []
    for header in headers:
        bits = _SPEECH_BITS.get(header >> 3)
        if bits is None:
            return None
        end = position + (bits + 7) // 8
        frames.append(bytes([header]) + payload[position:end])
        position = end
    return frames if position == len(payload) else None


def _read_bandwidth_efficient(payload: bytes) -> list[bytes] | None:
    """Read section 4.3: fields of 4, 6 and as many bits as it takes. None: it is something else."""
    n_left = len(payload) * 8
    value = int.from_bytes(payload, "big")

    def take(n_bits: int) -> int:
        nonlocal n_left
        n_left -= n_bits
        return value >> n_left & ((1 << n_bits) - 1)

    if n_left < 10:
        return None
    take(4)  # the mode that the other side would like us to send
    headers = []
    more = True
    while more:
        if n_left < 6:
            return None
        entry = take(6)
        more = bool(entry & 0x20)
        headers.append(entry << 2 & 0x7C)
    frames = []
    for header in headers:
        bits = _SPEECH_BITS.get(header >> 3)
        if bits is None or n_left < bits:
            return None
        padding = -bits % 8
        frames.append(bytes([header]) + (take(bits) << padding).to_bytes((bits + 7) // 8, "big"))
    return frames if n_left < 8 and not take(n_left) else None
