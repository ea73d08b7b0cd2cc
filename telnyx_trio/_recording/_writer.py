"""Writes a file in threads, one write after the other, without making the event loop wait."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Final

import trio

from ._wav_file import WavFile

END_TIMEOUT: Final = 2.0
"""Seconds that the last write is waited for, on the clock of the machine: a disk that hangs must
not keep a phone from being hung up."""


class Writer:
    """Writes one file.

    A write is a thread of Trio's pool, twice a second; nobody is woken when it is done.

    Args:
        file: open.

    Attributes:
        error: of the first write that failed.
    """

    def __init__(self, file: WavFile) -> None:
        self.error: OSError | None = None
        self._file = file
        self._idle = threading.Event()
        self._idle.set()

    @property
    def is_idle(self) -> bool:
        """Whether the last write is done."""
        return self._idle.is_set()

    def write(self, position: int, content: bytes) -> None:
        """Begin to write; only while idle, and without an error before."""
        self._start(partial(self._file.write, position, content))

    async def finish(self, position: int, content: bytes) -> None:
        """Write what is left, close the file, and wait for it.

        Cancelled: it is done all the same.
        """
        with trio.CancelScope(shield=True):
            is_idle = await trio.to_thread.run_sync(self._idle.wait, END_TIMEOUT)
            if is_idle:
                self._start(partial(self._write_last, position, content))
                is_idle = await trio.to_thread.run_sync(self._idle.wait, END_TIMEOUT)
        if not is_idle:
            self.error = self.error or TimeoutError(f"the disk did not answer in {END_TIMEOUT} s")

    def _write_last(self, position: int, content: bytes) -> None:
        try:
            if self.error is None:
                self._file.write(position, content)
        finally:
            self._file.close()

    def _start(self, job: Callable[[], None]) -> None:
        self._idle.clear()
        trio.lowlevel.start_thread_soon(
            partial(self._run, job), lambda result: result.unwrap(), "telnyx_trio recording"
        )

    def _run(self, job: Callable[[], None]) -> None:
        try:
            job()
        except OSError as error:
            self.error = self.error or error
        finally:
            self._idle.set()
