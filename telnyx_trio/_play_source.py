"""What can be played: audio at once, audio as it comes, raw bytes with their rate."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator, Iterable
from os import PathLike
from typing import Final, TypeAlias

import trio

from .audio import PcmData

RawChunks: TypeAlias = bytes | Iterable[bytes] | AsyncIterable[bytes]


class RawAudio:
    """Bytes that are PCM, such as a speech engine delivers, with what is needed to read them.

    Chunks may be cut anywhere, also inside of a sample: what is left over goes before the next.

    Args:
        chunks: little-endian samples, interleaved; at once, or in chunks of any size, 0 included.
        sample_rate: in Hz.
        format: "s16" or "f32", as in ``PcmData``.
        channels: how many, >= 1; more than one are mixed down.

    Raises:
        ValueError: unknown ``format``, or a rate or a channel count that is not positive.
    """

    def __init__(
        self, chunks: RawChunks, sample_rate: int, format: str = "s16", *, channels: int = 1
    ) -> None:
        self.chunks: Final = chunks
        self._empty: Final = PcmData(sample_rate, format, channels=channels)

    def __repr__(self) -> str:
        pcm = self._empty
        return f"RawAudio({pcm.sample_rate} Hz, {pcm.format}, channels={pcm.channels})"

    def open_reader(self) -> Callable[[object], PcmData]:
        """Return a function that takes the chunks, one after the other, and returns their PCM."""
        empty = self._empty
        group_bytes = empty.samples.itemsize * empty.channels
        rest = b""

        def read(chunk: object) -> PcmData:
            nonlocal rest
            if not isinstance(chunk, (bytes, bytearray, memoryview)):
                raise TypeError(f"RawAudio is made of bytes, not of {type(chunk).__name__}")
            data = rest + bytes(chunk)
            n_whole = len(data) - len(data) % group_bytes
            rest = data[n_whole:]
            return PcmData.from_bytes(
                data[:n_whole], empty.sample_rate, empty.format, empty.channels
            )

        return read


AudioSource: TypeAlias = (
    str | PathLike[str] | PcmData | Iterable[PcmData] | AsyncIterable[PcmData] | RawAudio
)
"""What ``play`` takes: the path of a WAV file of 16-bit PCM, audio of any kind, an iterator of it
(also an asynchronous one), or ``RawAudio``. The rate may change from chunk to chunk."""


async def load(source: AudioSource) -> AudioSource:
    """Read a WAV file, in a thread; whatever else it is, check that it can be played.

    Raises:
        InvalidWav: no WAV, cut short, or not 16-bit PCM.
        OSError: the file cannot be read.
        TypeError: ``source`` is none of what can be played.
    """
    if isinstance(source, (str, PathLike)):
        return await trio.to_thread.run_sync(PcmData.from_wav, source)
    await trio.lowlevel.checkpoint()
    if isinstance(source, (bytes, bytearray, memoryview)):
        raise TypeError(
            "bytes do not say what they are: play RawAudio(chunks, sample_rate=24000), or"
            " PcmData.from_wav(content) for the content of a WAV file"
        )
    if not isinstance(source, (PcmData, RawAudio, AsyncIterable, Iterable)):
        raise TypeError(
            "play takes the path of a WAV file, PcmData, an iterator of it, or RawAudio,"
            f" not {type(source).__name__}"
        )
    return source


class SourceReader:
    """Hands the audio of a source on, as it comes.

    Args:
        source: as ``load`` returned it.
    """

    def __init__(self, source: AudioSource) -> None:
        self._read = source.open_reader() if isinstance(source, RawAudio) else _require_pcm
        self._chunks: object = source.chunks if isinstance(source, RawAudio) else source
        if isinstance(self._chunks, (PcmData, bytes, bytearray, memoryview)):
            self._chunks = [self._chunks]

    def __aiter__(self) -> AsyncGenerator[PcmData, None]:
        """Iterate; close the generator that this returns if you leave it early.

        A generator of the user's is closed with it, as nobody else will; nothing else is, since a
        channel may be read on.
        """
        if isinstance(self._chunks, AsyncIterable):
            return self._follow(self._chunks)
        assert isinstance(self._chunks, Iterable)
        return self._step(self._chunks)

    async def _follow(self, chunks: AsyncIterable[object]) -> AsyncGenerator[PcmData, None]:
        iterator = aiter(chunks)
        try:
            async for chunk in iterator:
                yield self._read(chunk)
        finally:
            if isinstance(iterator, AsyncGenerator):
                await iterator.aclose()

    async def _step(self, chunks: Iterable[object]) -> AsyncGenerator[PcmData, None]:
        iterator = iter(chunks)
        try:
            for chunk in iterator:
                await trio.lowlevel.checkpoint()
                yield self._read(chunk)
        finally:
            if isinstance(iterator, Generator):
                iterator.close()


def _require_pcm(chunk: object) -> PcmData:
    if isinstance(chunk, PcmData):
        return chunk
    hint = ""
    if isinstance(chunk, (bytes, bytearray, memoryview)):
        hint = "; bytes do not say what they are: play RawAudio(chunks, sample_rate=24000)"
    raise TypeError(f"a source of play is made of PcmData, not of {type(chunk).__name__}{hint}")
