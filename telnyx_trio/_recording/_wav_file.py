"""A WAV file that can be read at any time while it is written."""

from __future__ import annotations

from contextlib import suppress
from os import PathLike
from typing import Final

import numpy as np

from ..audio import PcmData

_HEADER_SIZE: Final = 44
_GROUP_SIZE: Final = 4
"""Bytes of one sample of both channels."""

_MAX_SIZE: Final = 2**32 - 1
"""What a WAV's header can tell: 18 hours at 16 kHz."""


class WavFile:
    """A stereo WAV of 16-bit PCM. After each ``write`` its header tells what is there.

    So a process that is killed leaves a file that any program reads. Data go first, then the two
    sizes in the header: between the two, it tells of less than there is, which is no harm.

    Args:
        path: of the file; it is written over.
        sample_rate: in Hz.

    Raises:
        OSError: it cannot be written.
    All of this blocks.
    """

    def __init__(self, path: str | PathLike[str], sample_rate: int) -> None:
        empty = PcmData(sample_rate, "s16", np.empty((2, 0), np.int16), channels=2)
        self._header = bytearray(empty.to_wav_bytes())
        assert len(self._header) == _HEADER_SIZE
        self._file = open(path, "wb")
        self._n_bytes = 0
        try:
            self.write(0, b"")
        except OSError:
            with suppress(OSError):
                self.close()
            raise

    def write(self, position: int, content: bytes) -> None:
        """Write samples at a position, counted in samples of one channel.

        Raises:
            OSError: the disk is full, and the like; the file is larger than a WAV can be.
        """
        start = position * _GROUP_SIZE
        n_bytes = max(self._n_bytes, start + len(content))
        if n_bytes > _MAX_SIZE - _HEADER_SIZE:
            raise OSError("the recording has reached 4 GiB, which is all that a WAV can hold")
        self._file.seek(_HEADER_SIZE + start)
        self._file.write(content)
        self._n_bytes = n_bytes
        self._header[4:8] = (n_bytes + _HEADER_SIZE - 8).to_bytes(4, "little")
        self._header[40:44] = n_bytes.to_bytes(4, "little")
        # Going back writes out what the file object holds.
        self._file.seek(0)
        self._file.write(self._header)
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
