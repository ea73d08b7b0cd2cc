"""Telnyx's end of a media stream, which says something for ever and plays what comes."""

from __future__ import annotations

import json
import time
from base64 import b64decode
from typing import Final

import numpy as np
import trio
from marked_audio import Timeline
from numpy.typing import NDArray
from stream_peer import media_text, start_text
from watched import Watched

from telnyx_trio import PcmData, WebSocket, pcmu_to_pcm
from telnyx_trio.audio import pcm_to_pcmu

RATE: Final = 8000
_SIZE: Final = 160
_CUSHION: Final = 0.005
"""Seconds that a packet may be late before the ear hears a gap: a phone's own buffer holds more."""


class MediaPhone(Watched):
    """A phone on a WebSocket to a media server.

    Args:
        websocket: to the server.
        says: int16 at 8000 Hz, repeated for ever from ``start`` on.
        speed: of the clock by which it speaks, 1.0 being ours; Telnyx plays by ours.

    Attributes:
        said: what it has said, when.
        heard: what it has heard, when: packets are queued, and played one after the other.
        gaps: how often it had nothing to play between two packets.
    """

    def __init__(
        self, websocket: WebSocket, says: NDArray[np.int16], *, speed: float = 1.0
    ) -> None:
        super().__init__()
        self.speed = speed
        self.said = Timeline(RATE)
        self.heard = Timeline(RATE)
        self.gaps = 0
        self._websocket = websocket
        self._code = pcm_to_pcmu(PcmData(RATE, samples=says))
        self._audio = pcmu_to_pcm(self._code).mono_int16()
        self._free_at = 0.0

    async def talk(self) -> None:
        """Say ``start``, and speak until the server is gone."""
        due = time.monotonic()
        try:
            await self._websocket.send_text(start_text())
            while True:
                for start in range(0, len(self._code), _SIZE):
                    self.said.add(time.monotonic(), self._audio[start : start + _SIZE])
                    await self._websocket.send_text(media_text(self._code[start : start + _SIZE]))
                    self.changed()
                    due += _SIZE / RATE / self.speed
                    await trio.sleep(max(0.0, due - time.monotonic()))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass

    async def listen(self) -> None:
        """Play what comes until the server is gone."""
        try:
            while True:
                message = json.loads(await self._websocket.receive_text())
                if message["event"] == "media":
                    self._play(pcmu_to_pcm(b64decode(message["media"]["payload"])).mono_int16())
                    self.changed()
        except (trio.EndOfChannel, trio.BrokenResourceError, trio.ClosedResourceError):
            pass

    def _play(self, samples: NDArray[np.int16]) -> None:
        now = time.monotonic()
        if now > self._free_at:
            self.gaps += bool(self._free_at) and now - self._free_at > _CUSHION
            self._free_at = now
        self.heard.add(self._free_at, samples)
        self._free_at += len(samples) / RATE
