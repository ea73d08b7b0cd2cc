"""Two phone calls joined in this process.

Each direction is a task: packets of the one call go into the other. Where both speak the same
codec they go as they came, bit for bit; else they are decoded, resampled and coded anew.

Each call is played on Telnyx's clock, and fed on the other's. What runs ahead of the clock is the
delay, and it can only grow: after a stall a whole burst comes at once, and two clocks drift apart.
So it has a bound, and what would exceed it is dropped.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

import trio

from .._call import Call
from .._errors import CallEnded, LocalProtocolError
from .._lone_error import unwrap_lone_error

MAX_DELAY: Final = 0.3
"""Seconds. ITU-T G.114 asks for less than 0.4 from mouth to ear, the network included."""


@dataclass
class LegFlow:
    """What went from one call to the other, in packets of 20 ms.

    Attributes:
        passed: as they came.
        converted: to another codec.
        dropped: to keep the delay within its bound.
    """

    passed: int = 0
    converted: int = 0
    dropped: int = 0


@dataclass(frozen=True)
class BridgedLegs:
    """What came of ``bridge_legs``.

    Attributes:
        survivor: the call that has not ended, if it was not to be hung up.
        a_to_b, b_to_a: what went over.
    """

    survivor: Call | None
    a_to_b: LegFlow
    b_to_a: LegFlow


async def bridge_legs(
    a: Call, b: Call, *, hang_up: bool = True, max_delay: float = MAX_DELAY
) -> BridgedLegs:
    """Join two calls of this process: each hears the other, until one of them ends.

    Audio that was sent to either before is heard first. While it lasts, ``received`` of both gets
    nothing. ``call.bridge`` has Telnyx join them instead: it costs nothing here, and neither call
    comes back.

    Args:
        a: one call.
        b: another one.
        hang_up: when one has ended, hang up the other; else it goes on, and is the result's
            ``survivor``.
        max_delay: seconds that audio may wait here and at Telnyx before it is heard; more is
            dropped. At least 0.04.

    Raises:
        LocalProtocolError: both are the same call, one sends MP3 files, or ``max_delay`` is too
            small.
        CallControlError: the other one could not be hung up; leaving it tries once more.
    Blocks: for as long as both live.  Cancelled: both go on, apart.
    """
    if a is b:
        raise LocalProtocolError("a call can't be joined with itself")
    if a.stream.sends_mp3 or b.stream.sends_mp3:
        raise LocalProtocolError("a call that sends whole MP3 files can't be joined with another")
    if not max_delay >= 0.04:
        raise LocalProtocolError(f"max_delay is {max_delay!r}; it is 0.04 s or more")
    result = BridgedLegs(None, LegFlow(), LegFlow())
    with unwrap_lone_error():
        async with trio.open_nursery() as nursery:

            async def end_with(wait: Callable[[], Awaitable[None]]) -> None:
                await wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(end_with, partial(_feed, a, b, result.a_to_b, max_delay))
            nursery.start_soon(end_with, partial(_feed, b, a, result.b_to_a, max_delay))
            nursery.start_soon(end_with, a.wait_ended)
            nursery.start_soon(end_with, b.wait_ended)
    survivors = [call for call in (a, b) if call.outcome is None]
    if hang_up:
        for call in survivors:
            await call.hangup()
        return result
    return BridgedLegs(survivors[0] if survivors else None, result.a_to_b, result.b_to_a)


async def _feed(source: Call, sink: Call, flow: LegFlow, max_delay: float) -> None:
    """Send what one call says to the other, until either ends."""
    feed = _pass_packets if _speak_alike(source, sink) else _convert
    with suppress(CallEnded):
        await feed(source, sink, flow, max_delay)


def _speak_alike(source: Call, sink: Call) -> bool:
    ours, theirs = source.stream.media_format, sink.stream.send_format
    # L16 is the same samples in either order of bytes: decoding it loses nothing.
    return ours.encoding != "L16" and (
        (ours.encoding, ours.sample_rate, ours.audio_channels)
        == (theirs.encoding, theirs.sample_rate, theirs.audio_channels)
    )


async def _pass_packets(source: Call, sink: Call, flow: LegFlow, max_delay: float) -> None:
    size = sink.stream.packet_size_bytes
    rest = b""
    async with source.received_packets as packets:
        async for payload in packets:
            # Of most codecs packets of any size are cut anew; those of OPUS are whole.
            rest += payload
            while rest and (size is None or len(rest) >= size):
                packet, rest = (rest, b"") if size is None else (rest[:size], rest[size:])
                if sink.stream.backlog >= max_delay:
                    flow.dropped += 1
                else:
                    await sink.send_packet(packet)
                    flow.passed += 1


async def _convert(source: Call, sink: Call, flow: LegFlow, max_delay: float) -> None:
    _skip_waiting(source)
    async for pcm in source.received:
        if sink.stream.backlog >= max_delay:
            flow.dropped += 1
        else:
            await sink.send(pcm)
            flow.converted += 1


def _skip_waiting(call: Call) -> None:
    """Drop audio that nobody has read before."""
    with suppress(trio.WouldBlock, trio.EndOfChannel):
        while True:
            call.received.receive_nowait()
