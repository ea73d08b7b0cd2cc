"""What happens to media messages on their way to the server: loss, repetition, disorder."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Iterable
from dataclasses import dataclass

from ._stream_values import LegCounters


@dataclass(frozen=True)
class MediaImpairments:
    """How bad the way of the media messages to the server is; other messages are spared.

    Attributes:
        loss: share that never arrives.
        repeats: share that arrives twice.
        delayed: share that is held up, so that others overtake it.
        max_delay: seconds that one is held up at most.
        seed: of what happens to which.

    Raises:
        ValueError: a share is not from 0 to 1, or the delay negative.
    """

    loss: float = 0.0
    repeats: float = 0.0
    delayed: float = 0.0
    max_delay: float = 0.08
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("loss", "repeats", "delayed"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share, from 0 to 1, not {getattr(self, name)}")
        if not self.max_delay >= 0:
            raise ValueError(f"max_delay is seconds, not {self.max_delay}")


class ImpairedWay:
    """The way of one stream's media messages.

    Args:
        impairments: how bad it is.
        counters: where it is counted.
    """

    def __init__(self, impairments: MediaImpairments, counters: LegCounters) -> None:
        self._impairments = impairments
        self._counters = counters
        self._random = random.Random(impairments.seed)
        self._n_put = 0
        # When each arrives, a number that keeps their order, and the message.
        self._under_way: list[tuple[float, int, str]] = []

    def put(self, texts: Iterable[str], now: float) -> None:
        """Send messages on their way."""
        for text in texts:
            if self._happens(self._impairments.loss):
                self._counters.packets_lost += 1
                continue
            self._send(text, now)
            if self._happens(self._impairments.repeats):
                self._counters.packets_repeated += 1
                self._send(text, now)

    def next_due(self) -> float:
        """Return when the next one arrives, infinite if none is under way."""
        return self._under_way[0][0] if self._under_way else math.inf

    def take(self, now: float) -> list[str]:
        """Return the messages that have arrived, in the order in which they did."""
        arrived = []
        while self._under_way and self._under_way[0][0] <= now:
            arrived.append(heapq.heappop(self._under_way)[2])
        return arrived

    def _send(self, text: str, now: float) -> None:
        if self._happens(self._impairments.delayed):
            self._counters.packets_delayed += 1
            now += self._random.uniform(0, self._impairments.max_delay)
        self._n_put += 1
        heapq.heappush(self._under_way, (now, self._n_put, text))

    def _happens(self, share: float) -> bool:
        return share > 0 and self._random.random() < share
