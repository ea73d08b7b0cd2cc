"""Whether a file is an MP3. Nothing is decoded: Telnyx does that."""

from __future__ import annotations

from typing import Final

from .._errors import InvalidMp3

_ID3: Final = b"ID3"
_ID3_HEADER_SIZE: Final = 10
_ID3_FOOTER: Final = 0x10


def require_mp3(content: bytes) -> bytes:
    """Return a whole MP3 file as it is.

    Raises:
        InvalidMp3: it does not begin with an MPEG frame of layer III, tags left aside.
    """
    position = 0
    while content[position : position + 3] == _ID3:
        header = content[position : position + _ID3_HEADER_SIZE]
        if len(header) < _ID3_HEADER_SIZE:
            break
        size = 0
        for octet in header[6:]:  # seven bits each (id3.org, ID3v2.4.0 structure, section 6.2)
            size = size << 7 | octet & 0x7F
        position += _ID3_HEADER_SIZE * (2 if header[5] & _ID3_FOOTER else 1) + size
    while content[position : position + 1] == b"\0":
        position += 1  # padding behind a tag
    if not _is_frame_header(content[position : position + 4]):
        raise InvalidMp3("no MP3 file: it does not begin with an MPEG frame of layer III")
    return content


def _is_frame_header(header: bytes) -> bool:
    """ISO/IEC 11172-3, section 2.4.1.3, and the extension to half the rates."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return False
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    bit_rate, sampling_rate = header[2] >> 4, header[2] >> 2 & 3
    return version != 1 and layer == 1 and bit_rate not in (0, 15) and sampling_rate != 3
