"""What shows of a Stream bridge only with time: drift, and what calls leave that come and go.

Written once: the tests run it for seconds, ``benchmarks/stream_bridge.py`` for ten minutes and for
hundreds of calls. Needs getstream.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import trio
from marked_audio import Timeline, clicks_in, delays_of, marked_tone, marks_of
from media_phone import MediaPhone
from scenarios import open_socket_world
from stream_bridge_world import Addressed, guest_in, stream_call_of, wait_until
from stream_peer import STOP
from stream_standin import Guest, Standin

from telnyx_trio import (
    Call,
    MediaStream,
    StreamBridgeStatistics,
    attach_phone_to_call,
    open_stream_bridge,
)
from telnyx_trio.testing import Phone, memory_websocket_pair

PHONE_USER = "phone-user"

_IDLE = ("Trio thread", "asyncio_")
"""Threads that wait for the next thing to do: Trio's, and those of the stand-in's loop."""

KEPT_OPEN = 2
"""Sockets more or less: HTTP connections are kept open for the next request."""

_OVERLAP = 25
"""Chunks of 20 ms that two stretches have in common, as the edges of one are not judged."""


@dataclass(frozen=True)
class Heard:
    """How one end heard the other for a while.

    Attributes:
        delays: seconds from the saying to the hearing, of each mark.
        clicks: places at which what was said without a break was broken.
    """

    delays: tuple[float, ...]
    clicks: int

    @property
    def median(self) -> float:
        """The delay that half of the marks had; inf if none was heard."""
        return float(np.median(self.delays)) if self.delays else np.inf


@dataclass(frozen=True)
class Stretch:
    """A while of a call between a phone and a participant whose clocks differ.

    Attributes:
        until: seconds since both heard each other.
        by_guest: how the participant heard the phone.
        by_phone: how the phone heard the participant.
        phone_level: seconds in the buffer between the phone's clock and ours, at the end.
        guest_level: the same of the participant.
        backlog: seconds until the phone hears what is sent now, at the end.
        corrected: seconds left out or added for the phone's clock, and the participant's, so far.
        dropped: seconds cut out, of both and on the way to the phone, so far.
        gaps: how often either buffer had run dry so far.
    """

    until: float
    by_guest: Heard
    by_phone: Heard
    phone_level: float
    guest_level: float
    backlog: float
    corrected: tuple[float, float]
    dropped: float
    gaps: int


def judge(said: Timeline, heard: Timeline, said_from: int, heard_from: int) -> Heard:
    """Compare what one end said from a chunk on with what the other heard."""
    said_at, _ = marks_of(said, max(0, said_from - 2 * _OVERLAP))
    start = max(0, heard_from - _OVERLAP)
    heard_at, _ = marks_of(heard, start)
    late = delays_of(said_at, heard_at)
    return Heard(tuple(late.tolist()), clicks_in(heard, start))


async def carry_with_drift(
    standin: Addressed,
    seconds: float,
    *,
    every: float,
    skew: float,
    tell: Callable[[Stretch], Any],
) -> None:
    """Have a phone and a participant talk; each one's clock is wrong, from half time the other way.

    Args:
        standin: for Stream.
        seconds: how long.
        every: seconds of each stretch that is told of. Short ones, as the bridge, which is in this
            process, stands still for moments when a long one is looked at.
        skew: of the participant's clock; the phone's is as slow as that is fast.
        tell: gets each stretch.
    """
    client, server = memory_websocket_pair()
    phone = MediaPhone(client, marked_tone(8000), speed=1 - skew)
    stream = MediaStream(server)
    async with (
        guest_in(standin, "drift", "ann", says=marked_tone(48000), speed=1 + skew) as ann,
        trio.open_nursery() as nursery,
    ):
        for task in (phone.listen, phone.talk, stream.run):
            nursery.start_soon(task)
        bridge = await attach_phone_to_call(stream_call_of(standin, "drift"), stream)
        await wait_until(ann, lambda: ann.heard_for(PHONE_USER) > 2)
        await wait_until(phone, lambda: phone.heard.n_samples > 2 * 8000)
        begin = ann.heard_for(PHONE_USER)
        for until in np.arange(every, seconds + every / 2, every):
            if until > seconds / 2:
                phone.speed, ann.speed = 1 + skew, 1 - skew
            starts = _place(ann, phone)
            is_over = partial(_has_heard, ann, begin + float(until))
            await wait_until(ann, is_over, timeout=every + 20)
            judge_all = partial(_stretch, float(until), ann, phone, bridge.statistics(), starts)
            tell(await trio.to_thread.run_sync(judge_all))
        await client.send_text(STOP)


def _has_heard(guest: Guest, seconds: float) -> bool:
    return guest.heard_for(PHONE_USER) > seconds


def _place(guest: Guest, phone: MediaPhone) -> tuple[int, int, int, int]:
    heard = guest.heard[PHONE_USER]
    return phone.said.n_chunks, heard.n_chunks, guest.said.n_chunks, phone.heard.n_chunks


def _stretch(
    until: float,
    guest: Guest,
    phone: MediaPhone,
    statistics: StreamBridgeStatistics,
    starts: tuple[int, int, int, int],
) -> Stretch:
    [speaker] = statistics.speakers.values()
    to_stream = statistics.to_stream
    return Stretch(
        until,
        judge(phone.said, guest.heard[PHONE_USER], *starts[:2]),
        judge(guest.said, phone.heard, *starts[2:]),
        to_stream.level,
        speaker.level,
        statistics.backlog,
        (to_stream.corrected, speaker.corrected),
        to_stream.dropped + speaker.dropped + statistics.dropped,
        to_stream.gaps + speaker.gaps,
    )


@dataclass(frozen=True)
class Held:
    """What a process holds, and a stand-in.

    Attributes:
        tasks: of Trio.
        threads: names of those that are not idle, of Trio's or the stand-in's.
        sockets: open ones, the stand-in's among them if it is in the process.
        participants: in any call of the stand-in.
    """

    tasks: int
    threads: tuple[str, ...]
    sockets: int
    participants: int

    def is_back_at(self, before: Held, *, kept_open: int = KEPT_OPEN) -> bool:
        """Whether nothing is held that was not before, and nobody is in any call.

        Args:
            before: what was held before.
            kept_open: sockets that may be more, of connections kept open for the next request.
        """
        return (
            self.tasks <= before.tasks
            and self.threads == before.threads
            and self.sockets <= before.sockets + kept_open
            and not self.participants
        )


def hold(standin: Standin) -> Held:
    """Count what is held now."""
    gc.collect()
    links = []
    for name in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{name}"))
        except FileNotFoundError:
            pass
    return Held(
        trio.lowlevel.current_statistics().tasks_living,
        tuple(
            sorted(
                thread.name for thread in threading.enumerate() if not thread.name.startswith(_IDLE)
            )
        ),
        sum(link.startswith("socket:") for link in links),
        len(standin.everybody()),
    )


async def come_and_go(
    standin: Standin, cycles: int, *, tell: Callable[[int, Held], Any] = lambda _n, _held: None
) -> tuple[Held, Held]:
    """Have calls come and go, each ended at a random moment, by the phone or by a cancellation.

    Args:
        standin: for Stream.
        cycles: how many, after three that warm up.
        tell: gets the number and what is held, after each tenth.

    Returns:
        What was held before, and what is held when all has had the time to end.
    """
    chance = random.Random(1)

    async def agent(call: Call) -> None:
        if chance.random() < 0.2:
            async with open_stream_bridge(call, stream_call_of(standin, "cycles")) as bridge:
                await bridge.wait_ended()
            return
        with trio.move_on_after(chance.uniform(0, 0.6)):
            async with open_stream_bridge(call, stream_call_of(standin, "cycles")):
                await trio.sleep_forever()

    async with open_socket_world(agent) as world:

        async def call_once() -> None:
            with trio.fail_after(60):
                leg = await world.carrier.call_in(
                    to="+15550100000", phone=Phone(hang_up_at=chance.uniform(0.6, 1.0))
                )
                await leg.wait_ended()

        for _ in range(3):
            await call_once()
        await settled(standin, None)
        before = hold(standin)
        for n in range(1, cycles + 1):
            await call_once()
            if n % 10 == 0:
                tell(n, hold(standin))
        await wait_until(standin, lambda: standin.everybody() == [])
        after = await settled(standin, before)
        await world.server.stop(drain_timeout=5)
        assert world.server.statistics().failed_calls == 0
    return before, after


async def settled(standin: Standin, before: Held | None, *, kept_open: int = KEPT_OPEN) -> Held:
    """Wait for what ends a little later: a thread of getstream 4 sleeps for ten seconds first."""
    for thread in threading.enumerate():
        if thread.name.startswith("Thread-"):
            await trio.to_thread.run_sync(thread.join, 15)
    held = hold(standin)
    if before is None:
        return held
    for _ in range(120):  # getstream 7 closes those of a lost connection half a minute later
        if held.is_back_at(before, kept_open=kept_open):
            break
        await trio.sleep(0.5)
        held = hold(standin)
    return held


async def count_tasks() -> int:
    """Count the tasks of the asyncio loop that this runs in."""
    return len(asyncio.all_tasks())
