"""The two deadlines of a media stream: ``start`` must come, and media must not cease."""

from __future__ import annotations

from typing import Final, Never

import trio

from ._errors import MediaTimeout
from ._lone_error import unwrap_lone_error
from ._receiver import Receiver
from ._stream_wire import StreamWire

START_TIMEOUT: Final = 10.0
"""Seconds. Telnyx sends ``start`` right after ``connected`` on a call that is answered."""

SILENCE_TIMEOUT: Final = 30.0
"""Seconds. Media come 50 times a second also when nobody speaks."""

PING_BEFORE_SILENCE: Final = 5.0
"""Seconds before the silence deadline at which the peer is pinged."""


async def watch_start(started: trio.Event, timeout: float, waited: float) -> None:
    """Wait for ``start``.

    Args:
        started: set when it comes.
        timeout: seconds that it may take.
        waited: how many of them are over.

    Raises:
        MediaTimeout: it did not come in time.
    """
    with trio.move_on_after(max(0.0, timeout - waited)):
        await started.wait()
    if not started.is_set():
        raise MediaTimeout("start", timeout)


async def watch_silence(receiver: Receiver, wire: StreamWire, timeout: float) -> Never:
    """Watch that media go on coming; ping a peer that has fallen silent.

    Raises:
        MediaTimeout: no media message came for ``timeout`` seconds; it tells whether the ping was
            answered.
        trio.BrokenResourceError: the ping found the peer gone.
    """
    ping_after = max(timeout - PING_BEFORE_SILENCE, timeout / 2)
    with unwrap_lone_error():
        async with trio.open_nursery() as nursery:
            while True:
                heard_at = receiver.last_media
                await trio.sleep_until(heard_at + ping_after)
                if receiver.last_media != heard_at:
                    continue
                # In a task of its own, which only the end of the stream cancels: media may come
                # back before the answer does, and half a ping on the wire would spoil the rest.
                answered = trio.Event()
                nursery.start_soon(_ping, wire, answered)
                await trio.sleep_until(heard_at + timeout)
                if receiver.last_media == heard_at:
                    raise MediaTimeout("media", timeout, peer_answers=answered.is_set())


async def _ping(wire: StreamWire, answered: trio.Event) -> None:
    await wire.ping()
    answered.set()
