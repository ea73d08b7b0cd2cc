"""What the carrier plays to a leg by command: ``speak`` and ``playback_start``.

Announcements wait for each other, except overlays, which are heard besides. Each tells of itself by
two webhooks. A stopped ``speak`` ends as "completed": Telnyx documents no other status for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol, TypeAlias

import trio

from ._audio_files import NotPlayable
from ._codecs import Samples
from ._leg_audio import Clip, LegAudio
from ._transports import DownloadFailed

Ears: TypeAlias = Literal["self", "opposite", "both"]
Stop: TypeAlias = Literal["current", "all"]
Kind: TypeAlias = Literal["speak", "playback"]

_SPEAK_STATUSES: Final = {"cancelled": "completed"}


@dataclass(frozen=True)
class Announcement:
    """One sound to be played.

    Attributes:
        kind: of command, and of its webhooks.
        load: gives samples (int16, shape (n,)) and their rate in Hz; may raise ``NotPlayable`` and
            ``DownloadFailed``.
        fields: of its webhooks, besides the common ones.
        loop: how often, infinite for ever.
        overlay: do not wait for others.
        ears: of which legs.
    """

    kind: Kind
    load: Callable[[], Awaitable[tuple[Samples, int]]]
    fields: Mapping[str, Any] = field(default_factory=dict, repr=False)
    loop: float = 1
    overlay: bool = False
    ears: Ears = "self"


class AnnouncedLeg(Protocol):
    """What an announcer needs of its leg."""

    def start_media(self) -> None:
        """Start the sample clock, if it does not run yet."""

    def post(self, event_type: str, payload: Mapping[str, Any]) -> None:
        """Send a webhook."""

    def note(self, kind: str, detail: str = "") -> None:
        """Write into the leg's diary."""


@dataclass(eq=False)
class Play:
    """An announcement that waits or is played; ``done`` is set when it is over."""

    announcement: Announcement
    done: trio.Event = field(default_factory=trio.Event)
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    clips: list[tuple[LegAudio, Clip]] = field(default_factory=list)


class Announcer:
    """Plays announcements to a leg, in tasks of the carrier's nursery.

    Args:
        leg: whose.
        ears: returns the audio of those who are to hear.
        nursery: of the carrier.
    """

    def __init__(
        self,
        leg: AnnouncedLeg,
        ears: Callable[[Ears], list[LegAudio]],
        nursery: trio.Nursery,
    ) -> None:
        self._leg = leg
        self._ears = ears
        self._nursery = nursery
        self._waiting: deque[Play] = deque()
        self._playing: list[Play] = []  # one that others wait for, and overlays

    def play(self, announcement: Announcement, stop: Stop | None = None) -> Play:
        """Play an announcement: now, or when those before it are over.

        Args:
            announcement: to be played.
            stop: end the one that is playing, and with "all" those that wait too.
        """
        play = Play(announcement)
        if stop == "all":
            self._drop_waiting()
        if announcement.overlay:
            self._start(play)
            return play
        self._waiting.append(play)
        if stop is not None:
            self._stop_playing(overlay=False)
        self._start_next()
        return play

    def stop(self, which: Stop = "all", *, overlay: bool = False) -> None:
        """Stop what plays: the overlays, or the other; with "all" also what waits."""
        if which == "all" and not overlay:
            self._drop_waiting()
        self._stop_playing(overlay=overlay)

    def cancel(self, play: Play) -> None:
        """Stop one announcement, playing or waiting; nothing happens if it is over."""
        if play in self._waiting:
            self._waiting.remove(play)
            play.done.set()
        elif play in self._playing:
            self._finish(play, "cancelled")

    def end(self) -> None:
        """The call is over."""
        self._drop_waiting()
        for play in tuple(self._playing):
            self._finish(play, "call_hangup")

    def _drop_waiting(self) -> None:
        while self._waiting:
            self._waiting.popleft().done.set()

    def _stop_playing(self, *, overlay: bool) -> None:
        for play in tuple(self._playing):
            if play.announcement.overlay is overlay:
                self._finish(play, "cancelled")

    def _start_next(self) -> None:
        if self._waiting and all(play.announcement.overlay for play in self._playing):
            self._start(self._waiting.popleft())

    def _start(self, play: Play) -> None:
        self._playing.append(play)
        self._nursery.start_soon(self._run, play)

    async def _run(self, play: Play) -> None:
        announcement = play.announcement
        with play.scope:
            await trio.lowlevel.checkpoint()  # it may be over before it began
            try:
                samples, sample_rate = await announcement.load()
            except DownloadFailed as error:
                self._finish(play, "file_not_found" if error.missing else "failed", str(error))
                return
            except NotPlayable as error:
                self._finish(play, "failed", str(error))
                return
            self._leg.start_media()
            self._leg.note(f"{announcement.kind} started")
            self._leg.post(f"call.{announcement.kind}.started", announcement.fields)
            now = trio.current_time()
            n_played = 0
            while n_played < announcement.loop:
                for audio in self._ears(announcement.ears):
                    play.clips.append((audio, audio.play(samples, sample_rate, now)))
                n_played += 1
                now += samples.size / sample_rate
                await trio.sleep_until(now)
            self._finish(play, "completed")

    def _finish(self, play: Play, status: str, detail: str | None = None) -> None:
        """End an announcement that is playing, and let the next one start."""
        announcement = play.announcement
        self._playing.remove(play)
        play.scope.cancel()
        now = trio.current_time()
        for audio, clip in play.clips:
            clip.cut(audio.position(now))
        payload = dict(announcement.fields)
        if announcement.kind == "speak":
            payload["status"] = _SPEAK_STATUSES.get(status, status)
        else:
            payload |= {"status": status, "status_detail": detail}
        self._leg.note(f"{announcement.kind} ended", status)
        self._leg.post(f"call.{announcement.kind}.ended", payload)
        play.done.set()
        if status != "call_hangup":
            self._start_next()
