"""Whether the far party speaks: a detector on the received audio, and whoever waits for it.

The detector is called as media are read, and what is to happen when the far party begins to
speak happens there and then: a playback that is to give way has sent its ``clear`` before the next
packet is read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio

from ._errors import LocalProtocolError
from ._events import SpeechEnded, SpeechStarted
from .audio import PcmData, VoiceActivity, VoiceActivityDetector, VoiceGate


class SpeechWatch:
    """Listens to what the far party says.

    Args:
        voice_activity: makes the detector; None for none, until somebody asks for one.
        put_event: takes each beginning and end.
        can_hear: whether the stream carries the far party's voice.

    Attributes:
        speaking: whether the far party speaks now.
    """

    __slots__ = (
        "_can_hear",
        "_changed",
        "_detector",
        "_listeners",
        "_put_event",
        "_voice_activity",
        "speaking",
    )

    def __init__(
        self,
        voice_activity: VoiceActivity | None,
        put_event: Callable[[SpeechStarted | SpeechEnded], None],
        *,
        can_hear: bool,
    ) -> None:
        if voice_activity is not None and not callable(voice_activity):
            raise TypeError(
                f"voice_activity makes a detector, as the class VoiceGate does; it is not"
                f" {voice_activity!r}"
            )
        self.speaking = False
        self._voice_activity = voice_activity
        self._put_event = put_event
        self._can_hear = can_hear
        self._detector: VoiceActivityDetector | None = None
        # Called when speech begins. A dict, as it keeps the order in which they came.
        self._listeners: dict[Callable[[SpeechStarted], None], None] = {}
        self._changed: Final = trio.lowlevel.ParkingLot()

    @property
    def is_listening(self) -> bool:
        """Whether a detector was chosen, or needed."""
        return self._voice_activity is not None

    def hear(self, pcm: PcmData, received: float) -> None:
        """Take the next audio of the far party.

        Args:
            pcm: the audio.
            received: seconds of it up to now, these included: the clock of the events.
        """
        if self._voice_activity is None:
            return
        if self._detector is None:
            self._detector = self._voice_activity(pcm.sample_rate)
        for edge in self._detector.process(pcm.mono_int16()):
            self.speaking = edge.begins
            at = max(0.0, received - edge.ago)
            if edge.begins:
                started = SpeechStarted(at, received)
                self._put_event(started)
                for listener in list(self._listeners):
                    listener(started)
            else:
                self._put_event(SpeechEnded(at, received))
            self._changed.unpark_all()

    def end(self) -> None:
        """Note that nothing more will be heard."""
        self._detector = None
        self._changed.unpark_all()

    def need(self) -> None:
        """Listen from now on, with the voice gate if no other detector was chosen.

        Raises:
            LocalProtocolError: the stream does not carry the far party's voice.
        """
        if not self._can_hear:
            raise LocalProtocolError(
                'track="outbound" does not carry the far party\'s voice: use "inbound" or "both"'
            )
        if self._voice_activity is None:
            self._voice_activity = VoiceGate

    def add_listener(self, listener: Callable[[SpeechStarted], None]) -> None:
        """Have ``listener`` called whenever the far party begins to speak. It must not raise."""
        self.need()
        self._listeners[listener] = None

    def remove_listener(self, listener: Callable[[SpeechStarted], None]) -> None:
        """Call it no more; does nothing if it is not there."""
        self._listeners.pop(listener, None)

    async def wait(self, speaking: bool, check_open: Callable[[], None]) -> None:
        """Wait until the far party speaks, or does not; ``check_open`` raises after the end."""
        self.need()
        await trio.lowlevel.checkpoint()
        while self.speaking is not speaking:
            check_open()
            await self._changed.park()
