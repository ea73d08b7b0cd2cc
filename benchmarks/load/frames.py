"""WebSocket frames, as a client has them."""

import random
import struct
from collections.abc import Iterator

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


def frame(data: bytes, opcode: int = TEXT) -> bytes:
    """Return a masked frame."""
    mask = random.getrandbits(32).to_bytes(4, "big")
    size = len(data)
    if size < 126:
        head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
    else:
        head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size)
    repeated = (mask * (size // 4 + 1))[:size]
    masked = (int.from_bytes(data, "big") ^ int.from_bytes(repeated, "big")).to_bytes(size, "big")
    return head + mask + masked


class Frames:
    """Takes bytes, gives the frames that they complete."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Give opcode and content of each frame."""
        if self._rest:
            data = self._rest + data
        position, end = 0, len(data)
        while end - position >= 2:
            size = data[position + 1] & 0x7F
            start = position + 2
            if size == 126:
                if end < start + 2:
                    break
                size = data[start] << 8 | data[start + 1]
                start += 2
            elif size == 127:
                if end < start + 8:
                    break
                size = int.from_bytes(data[start : start + 8], "big")
                start += 8
            if end < start + size:
                break
            yield data[position] & 0x0F, data[start : start + size]
            position = start + size
        self._rest = data[position:]
