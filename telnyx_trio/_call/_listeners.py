"""The webhooks of one call for whoever waits for a certain one, beside ``call.events``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from .._ring_channel import RingChannel
from ..webhooks import WebhookEvent

_MAX_EVENTS: Final = 64
"""Events that one listener may be behind; it only looks at each and goes on."""


class Listeners:
    """Hands each webhook of a call to all who listen at that moment."""

    def __init__(self) -> None:
        self._channels: dict[RingChannel[WebhookEvent], tuple[type[WebhookEvent], ...]] = {}
        self._ended = False

    def open(self, *kinds: type[WebhookEvent]) -> RingChannel[WebhookEvent]:
        """Return a channel of the events from now on; it ends with the call.

        Args:
            kinds: what it is to have; all if none is named.
        """
        channel: RingChannel[WebhookEvent] = RingChannel(_MAX_EVENTS)
        if self._ended:
            channel.end()
        self._channels[channel] = kinds or (WebhookEvent,)
        return channel

    @contextmanager
    def listen(self) -> Iterator[RingChannel[WebhookEvent]]:
        """Give such a channel for as long as the block runs."""
        channel = self.open()
        try:
            yield channel
        finally:
            del self._channels[channel]

    def put(self, event: WebhookEvent) -> None:
        """Hand an event out."""
        for channel, kinds in self._channels.items():
            if isinstance(event, kinds):
                channel.put(event)

    def end(self) -> None:
        """Say that no event will follow."""
        self._ended = True
        for channel in self._channels:
            channel.end()
