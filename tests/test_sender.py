"""The send side's writing task, with a transport that the test plays."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import numpy as np
import pytest
import trio
import trio.testing
from stream_peer import pcm_of
from trio.testing import MockClock

from telnyx_trio import PcmData
from telnyx_trio._outbox import Outbox
from telnyx_trio._playout import Playout
from telnyx_trio._segment import SegmentEnd
from telnyx_trio._sender import Sender
from telnyx_trio._types import TelnyxMediaFormat
from telnyx_trio.protocol import Command, SendClear, SendMedia


class FullTransport:
    """Takes each message at once and has, for a while, the rest of it still to send."""

    def __init__(self) -> None:
        self.has_unsent = False
        self.n_flushes = 0

    def send_nowait(self, _command: object) -> int:
        self.has_unsent = True
        return 1

    def call_between(self, *_: object) -> bool:
        return False

    async def flush(self) -> None:
        self.n_flushes += 1
        self.has_unsent = False
        await trio.lowlevel.checkpoint()


class Listening:
    """A tap that counts what was written."""

    def __init__(self) -> None:
        self.n_sent = 0

    def take_sent(self, *_: Any) -> None:
        self.n_sent += 1


async def test_another_task_sends_the_rest(autojump_clock: MockClock) -> None:
    """As does who reads, with the answer to a ping: each packet counts as written all the same."""
    outbox, transport, tap = Outbox(TelnyxMediaFormat(), Playout()), FullTransport(), Listening()
    outbox.taps.append(cast("Any", tap))
    sender = Sender(outbox)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sender.run, cast("Any", transport), None)
        await trio.testing.wait_all_tasks_blocked()
        for n in range(1, 4):
            sender.send_nowait(pcm_of(np.zeros(160, np.int16)))
            assert transport.has_unsent
            transport.has_unsent = n == 2
            await trio.testing.wait_all_tasks_blocked()
            assert tap.n_sent == n
        nursery.cancel_scope.cancel()


TICK = 0.01
LEAD = 0.4


class Ticking:
    """A transport with a tick, and what it was given when."""

    has_unsent = False

    def __init__(self) -> None:
        self.sent: list[tuple[float, Command]] = []
        self.ticks = True
        self._due: list[tuple[float, Callable[[float], None]]] = []

    def send_nowait(self, command: Command) -> int:
        self.sent.append((trio.current_time(), command))
        return 0

    def call_between(self, earliest: float, latest: float, call: Callable[[float], None]) -> bool:
        if self.ticks and latest - earliest >= 2 * TICK:
            self._due.append((earliest, call))
            return True
        return False

    async def run(self) -> None:
        while True:
            await trio.sleep(TICK)
            if self.ticks:
                self._call(trio.current_time())

    def stop(self) -> None:
        self.ticks = False
        self._call(np.inf)

    def _call(self, now: float) -> None:
        due, self._due = self._due, []
        self._due = [entry for entry in due if entry[0] > now]
        for when, call in due:
            if when <= now:
                call(when)

    @property
    def leads(self) -> list[float]:
        """How far ahead of real time each packet has left."""
        media = [at for at, command in self.sent if isinstance(command, SendMedia)]
        return [0.02 * (n + 1) - (at - media[0]) for n, at in enumerate(media)]


class Steps(trio.abc.Instrument):
    """Counts the turns of the writing task."""

    def __init__(self) -> None:
        self.n_steps = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.n_steps += "Sender.run" in task.name


@asynccontextmanager
async def sending(lead: float = LEAD) -> AsyncGenerator[tuple[Sender, Ticking, Steps], None]:
    """A sender that runs, its transport's tick, and the turns of its task since then."""
    transport = Ticking()
    sender = Sender(Outbox(TelnyxMediaFormat("L16", 8000), Playout(lead)))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sender.run, cast("Any", transport), None)
        nursery.start_soon(transport.run)
        await trio.testing.wait_all_tasks_blocked()
        steps = Steps()
        trio.lowlevel.add_instrument(steps)
        yield sender, transport, steps
        trio.lowlevel.remove_instrument(steps)
        nursery.cancel_scope.cancel()


def second_of(level: int, seconds: float = 1.0) -> PcmData:
    return pcm_of(np.full(round(8000 * seconds), level, np.int16))


async def test_tick_sends_what_is_due(autojump_clock: MockClock) -> None:
    """A second of sound leaves in its time, and the writing task sleeps through it."""
    async with sending() as (sender, transport, steps):
        await sender.send(second_of(1000))
        await trio.sleep(1)
        assert len(transport.leads) == 50
        assert max(transport.leads) < LEAD + 1e-6
        assert min(transport.leads[20:]) > LEAD - 1.5 * TICK
        assert steps.n_steps == 0


async def test_rest_leaves_when_the_tick_has_ended(autojump_clock: MockClock) -> None:
    """Each packet at its very time then."""
    async with sending() as (sender, transport, _):
        await sender.send(second_of(1000))
        await trio.sleep(0.305)
        transport.stop()
        await trio.sleep(1)
        assert len(transport.leads) == 50
        assert transport.leads[40:] == pytest.approx([LEAD] * 10)


async def test_no_tick_for_what_must_not_be_late(autojump_clock: MockClock) -> None:
    """A lead that is used up when the next packet is due."""
    async with sending(lead=0.03) as (sender, transport, _):
        await sender.send(second_of(1000, 0.2))
        await trio.sleep(1)
        assert transport.leads[1:] == pytest.approx([0.03] * 9)


@pytest.mark.parametrize("cut_after", [0.05, 0.19, 0.199])
async def test_cut_does_not_wait_for_the_tick(autojump_clock: MockClock, cut_after: float) -> None:
    """Of what waits its turn at Telnyx: the clear leaves when the one before has been played."""
    async with sending() as (sender, transport, _):
        await trio.sleep(0.0033)
        ends: list[SegmentEnd] = []
        first, second = (sender.open_playback(ends.append) for _ in range(2))
        began_at = trio.current_time()
        await sender.put(first, second_of(1000, 0.2))
        sender.close_playback(first)
        await sender.put(second, second_of(2000))
        await trio.sleep(cut_after)
        sender.cut(second)
        await trio.sleep(1)
        [cleared_at] = [at for at, command in transport.sent if isinstance(command, SendClear)]
        assert cleared_at == pytest.approx(began_at + 0.2)
        assert ends == [SegmentEnd.CLEARED]


async def test_error_on_the_tick_ends_the_stream_and_not_the_tick(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It leaves the task that it would have left without a tick."""

    def fail(_: Outbox, now: float) -> float:
        raise ZeroDivisionError

    transport, sender = Ticking(), Sender(Outbox(TelnyxMediaFormat(), Playout(LEAD)))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(transport.run)
        with pytest.RaisesGroup(ZeroDivisionError):
            async with trio.open_nursery() as stream:
                stream.start_soon(sender.run, cast("Any", transport), None)
                await trio.testing.wait_all_tasks_blocked()
                await sender.send(second_of(1000))
                monkeypatch.setattr(Outbox, "next", fail)
        await trio.sleep(1)  # the tick goes on, or the nursery would have ended
        assert len(transport.leads) == 20
        nursery.cancel_scope.cancel()


async def test_tick_leaves_a_stream_alone_that_has_ended(autojump_clock: MockClock) -> None:
    """What it was to send when its writing task was cancelled stays unsent."""
    transport, sender = Ticking(), Sender(Outbox(TelnyxMediaFormat(), Playout(LEAD)))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(transport.run)
        async with trio.open_nursery() as stream:
            stream.start_soon(sender.run, cast("Any", transport), None)
            await trio.testing.wait_all_tasks_blocked()
            await sender.send(second_of(1000))
            stream.cancel_scope.cancel()
        await trio.sleep(1)
        assert len(transport.leads) == 20
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("seed", range(25))
async def test_all_leaves_once_in_order_and_in_time(autojump_clock: MockClock, seed: int) -> None:
    """Live audio, long audio and playbacks, whatever the tick does meanwhile."""
    rng, n_given = random.Random(seed), 0
    lead = rng.choice([0.0, 0.03, 0.04, 0.1, 0.4])
    async with sending(lead) as (sender, transport, _):
        for _ in range(30):
            n_packets = rng.choice([1, 1, 1, 7, 40])
            numbers = np.arange(n_given + 1, n_given + 1 + n_packets, dtype=np.int16)
            audio = pcm_of(numbers.repeat(160))
            if rng.random() < 0.3:
                playback = sender.open_playback(lambda _: None)
                await sender.put(playback, audio)
                sender.close_playback(playback)
            else:
                await sender.send(audio)
            n_given += n_packets
            if rng.random() < 0.2:
                transport.stop()
            elif rng.random() < 0.2:
                transport.ticks = True
            await trio.sleep(rng.choice([0, 0.0137, 0.02, 0.3, 1.5]) * rng.random())
        await trio.sleep(0.02 * n_given + 1)
    packets = [(at, command) for at, command in transport.sent if isinstance(command, SendMedia)]
    order = [int(np.frombuffer(command.payload, "<i2")[0]) for _, command in packets]
    assert order == list(range(1, n_given + 1))
    ends_at = 0.0
    for at, _ in packets:
        ends_at = max(ends_at, at) + 0.02
        assert ends_at - at < max(lead, 0.02) + 1e-6
