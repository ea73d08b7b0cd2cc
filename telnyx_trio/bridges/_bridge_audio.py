"""The audio of a bridge, where its two threads meet: Trio's, and the one of the Stream call.

Both directions are at 48 kHz, which is what WebRTC's Opus speaks. Nothing waits here: who has audio
leaves it, who needs audio takes what there is. The locks are held for some 20 us.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..audio import PcmData, Resampler
from ._clock_buffer import ClockBuffer, ClockBufferStatistics
from ._mixer import Mixer

RATE: Final = 48000
BLOCK_SIZE: Final = 960
"""Samples of 20 ms."""

MAX_LEVEL: Final = 0.2
"""Seconds that are held of the phone, and of each speaker."""


class BridgeAudio:
    """What the phone says and what the others say, each on its way to the other side."""

    def __init__(self) -> None:
        self._phone_lock = threading.Lock()
        self._phone = ClockBuffer(RATE, MAX_LEVEL)
        self._from_phone = Resampler(RATE, RATE)
        self._others_lock = threading.Lock()
        self._others = Mixer(RATE, MAX_LEVEL)
        self._from_others: dict[str, Resampler] = {}

    # From the phone.

    def put_phone(self, pcm: PcmData) -> None:
        """Leave what the phone says next."""
        if pcm.sample_rate != self._from_phone.from_rate:
            self._from_phone = Resampler(pcm.sample_rate, RATE)
        samples = self._from_phone.push(pcm.mono_int16())
        with self._phone_lock:
            self._phone.push(samples, time.monotonic())

    def take_phone(self) -> NDArray[np.int16]:
        """Return what the phone says in the next 20 ms, int16 of shape (960,)."""
        with self._phone_lock:
            block = self._phone.pull(BLOCK_SIZE, time.monotonic())
        if block is None:
            return np.zeros(BLOCK_SIZE, np.int16)
        return np.clip(np.rint(block), -32768, 32767).astype(np.int16)

    # From the others.

    def put_speaker(self, speaker: str, pcm: PcmData) -> None:
        """Leave what one of the others says next."""
        samples = pcm.mono_int16()
        if pcm.sample_rate != RATE:
            resampler = self._from_others.get(speaker)
            if resampler is None or resampler.from_rate != pcm.sample_rate:
                resampler = self._from_others[speaker] = Resampler(pcm.sample_rate, RATE)
            samples = resampler.push(samples)
        with self._others_lock:
            self._others.push(speaker, samples, time.monotonic())

    def remove_speaker(self, speaker: str) -> None:
        """Forget one of the others, once what they said is played."""
        self._from_others.pop(speaker, None)
        with self._others_lock:
            self._others.remove(speaker)

    def take_mixed(self) -> PcmData | None:
        """Return what all others say in the next 20 ms; None if nobody says anything."""
        with self._others_lock:
            block = self._others.mix(BLOCK_SIZE, time.monotonic())
        return None if block is None else PcmData(RATE, samples=block)

    def statistics(self) -> tuple[ClockBufferStatistics, Mapping[str, ClockBufferStatistics]]:
        """Return the counters of the phone, and of each of the others."""
        with self._phone_lock:
            phone = self._phone.statistics()
        with self._others_lock:
            return phone, self._others.statistics()
