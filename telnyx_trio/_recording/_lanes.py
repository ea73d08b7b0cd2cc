"""Where the audio of each side belongs on the recording's clock.

The far party's voice has no time of its own (what ``media.timestamp`` counts is not documented), so
its place is told by its coming: a packet has been spoken when it comes, not later. Packets that
follow each other are laid end to end, and the quickest of them set the clock:

- One that comes earlier than its place says that all before it was late; the run of them moves
  back.
- Packets that come later may have been held up, with a burst to follow. They are laid end to end
  all the same; if half a second of them is late, each of them, something is missing in between, and
  they move to where they belong.
- A pause of more than ``LONGEST_STALL`` is one at once.

So a stall of the network, or of this process, leaves the recording whole. What was lost on the way
comes here made up already, or is silence. What we say has its time from the playback clock.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..audio import Resampler
from ._timeline import Channel, StereoTimeline

TOLERANCE: Final = 0.01
"""Seconds by which a voice may be off its place before it is moved. The clocks of two machines
differ by some ms in a minute: less would move it, and click, more often."""

LATE_FOR: Final = 0.5
"""Seconds of packets that must all be late before something is taken to be missing: longer than
ordinary stalls, of a Wi-Fi or of a garbage collection."""

LONGEST_STALL: Final = 1.5
"""Seconds without a packet after which one that comes is not waited for to be part of a burst. Well
within what the timeline can still change."""


class Lane:
    """One channel: runs of audio, each without a gap and of one rate.

    Args:
        timeline: takes the audio.
        channel: of it.
    """

    def __init__(self, timeline: StereoTimeline, channel: Channel) -> None:
        self._timeline = timeline
        self._channel = channel
        self._resampler: Resampler | None = None
        # Where the run would begin if all of it had been moved, and where the part began that was.
        self._start = self._part = 0
        self._n_in = 0
        self._n_out = 0

    @property
    def end(self) -> int:
        """Position behind the last sample, those that the resampler holds included."""
        if self._resampler is None:
            return self._start
        rates = self._resampler.to_rate, self._resampler.from_rate
        return self._start + round(self._n_in * rates[0] / rates[1])

    def begin(self, position: int, sample_rate: int) -> None:
        """End the run, and begin another at a position."""
        if self._resampler is not None:
            self._put(self._resampler.flush())
        if self._resampler is None or self._resampler.from_rate != sample_rate:
            self._resampler = Resampler(sample_rate, self._timeline.sample_rate)
        self._restart(position)

    def append(self, samples: NDArray[np.int16]) -> None:
        """Put samples behind the run; not before ``begin``."""
        assert self._resampler is not None
        self._n_in += len(samples)
        self._put(self._resampler.push(samples))

    def shift(self, n_samples: int, *, since: int | None = None) -> None:
        """Move the run, or what of it stands since a position, and all that follows it."""
        first = self._part if since is None else since
        self._timeline.move(self._channel, first, self._start + self._n_out, n_samples)
        self._part = first + n_samples
        self._start += n_samples

    def cut(self, position: int) -> None:
        """Make silence of all from a position on, and begin anew there."""
        if position < self.end and self._resampler is not None:
            self._put(self._resampler.flush())
            self._timeline.erase(self._channel, position)
            self._restart(position)

    def _restart(self, position: int) -> None:
        self._start = self._part = position
        self._n_in = self._n_out = 0

    def _put(self, samples: NDArray[np.int16]) -> None:
        self._timeline.write(self._channel, self._start + self._n_out, samples)
        self._n_out += len(samples)


class ArrivalLane(Lane):
    """The far party's voice."""

    def __init__(self, timeline: StereoTimeline, channel: Channel) -> None:
        super().__init__(timeline, channel)
        rate = timeline.sample_rate
        self._tolerance = round(TOLERANCE * rate)
        self._late_for = round(LATE_FOR * rate)
        self._longest_stall = round(LONGEST_STALL * rate)
        # Since where all packets were late, and by how much at least.
        self._late_since: int | None = None
        self._least_late = 0

    def put(self, samples: NDArray[np.int16], sample_rate: int, now: int) -> None:
        """Take audio that came in at the position ``now``."""
        start = now - round(len(samples) * self._timeline.sample_rate / sample_rate)
        resampler = self._resampler
        late_by = start - self.end
        if resampler is None or resampler.from_rate != sample_rate or late_by > self._longest_stall:
            self._late_since = None
            self.begin(start, sample_rate)
        elif late_by < -self._tolerance:
            self._late_since = None
            self.shift(late_by)
        elif late_by <= self._tolerance:
            self._late_since = None
        else:
            self._note_late(late_by)
        self.append(samples)

    def _note_late(self, late_by: int) -> None:
        end = self.end
        if self._late_since is None:
            self._late_since, self._least_late = end, late_by
            return
        self._least_late = min(self._least_late, late_by)
        if end - self._late_since >= self._late_for:
            self.shift(self._least_late, since=self._late_since)
            self._late_since = None


class PlaybackLane(Lane):
    """What the far party hears of us."""

    def put(self, samples: NDArray[np.int16], sample_rate: int, start: int) -> None:
        """Take audio that is heard from a position on."""
        # Positions are rounded, each for itself: a sample more or less is no gap.
        if self._resampler is None or abs(start - self.end) > 1:
            self.begin(start, sample_rate)
        self.append(samples)
