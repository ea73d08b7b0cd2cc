"""Simulated calls to a running server, many at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import trio

from ..testing import Carrier, Leg, Phone
from ._load_figures import CallResult, measure

_INITIATED: Final = "call.initiated"


@dataclass(frozen=True)
class LoadPlan:
    """What is to be done. Durations are seconds.

    Attributes:
        count: calls in all.
        concurrency: calls at a time.
        rate: new calls a second, at most. Callers who all dial in the same moment measure the
            burst and not the load.
        to: the number that is dialled.
        phone: every caller.
        speaks_for: how long the caller speaks.
        answer_timeout: from the first ring until there must be media.
        path_of: where the recording of a call goes, None for nowhere.
    """

    count: int
    concurrency: int
    rate: float
    to: str
    phone: Phone
    speaks_for: float
    answer_timeout: float
    path_of: Callable[[int], Path | None]


@dataclass
class Load:
    """A load under way, and what came of it.

    Attributes:
        carrier: that places the calls.
        plan: what is to be done.
        results: of the calls that are over.
    """

    carrier: Carrier
    plan: LoadPlan
    results: list[CallResult] = field(default_factory=list, init=False)
    _placed: int = field(default=0, init=False)
    _next_start: float = field(default=-math.inf, init=False)
    _live: dict[int, Leg] = field(default_factory=dict, init=False)
    _stopped: bool = field(default=False, init=False)

    async def run(self) -> None:
        """Place every call and wait for its end.

        Raises:
            OSError: a recording cannot be written.
        """
        async with trio.open_nursery() as nursery:
            for _ in range(min(self.plan.concurrency, self.plan.count)):
                nursery.start_soon(self._call_repeatedly)

    async def stop(self) -> None:
        """Place no more calls, and hang up on those that run; ``run`` returns soon."""
        self._stopped = True
        async with trio.open_nursery() as nursery:
            for leg in self._live.values():
                nursery.start_soon(leg.hang_up)

    def describe(self) -> str:
        """Say how far it is."""
        failed = sum(result.failure is not None for result in self.results)
        return (
            f"{len(self.results)} of {self.plan.count} calls done,"
            f" {len(self._live)} running, {failed} failed"
        )

    async def _call_repeatedly(self) -> None:
        while self._placed < self.plan.count and not self._stopped:
            self._placed += 1
            number = self._placed
            await self._wait_turn()
            if not self._stopped:
                await self._call(number)

    async def _wait_turn(self) -> None:
        start = max(trio.current_time(), self._next_start)
        self._next_start = start + 1 / self.plan.rate
        await trio.sleep_until(start)

    async def _call(self, number: int) -> None:
        plan = self.plan
        caller = f"+1555{number % 10_000_000:07}"
        leg = await self.carrier.call_in(to=plan.to, from_=caller, phone=plan.phone)
        self._live[number] = leg
        with trio.move_on_after(plan.answer_timeout):
            await leg.wait_media_started()
        has_media = leg.audio.started_at is not None
        if not has_media and leg.is_alive:
            await leg.hang_up()
        await leg.wait_ended()
        del self._live[number]
        failure = None if self._stopped else self._failure_of(leg)
        path = plan.path_of(number)
        if path is not None and has_media:
            await trio.to_thread.run_sync(leg.write_wav, path)
        # In a thread, as it takes longer than the other calls can wait.
        self.results.append(await trio.to_thread.run_sync(self._measure, leg, number, failure))
        self.carrier.forget(leg)

    def _measure(self, leg: Leg, number: int, failure: str | None) -> CallResult:
        return measure(
            leg,
            number=number,
            failure=failure,
            speaks_at=self.plan.phone.speak_at,
            speaks_for=self.plan.speaks_for,
        )

    def _failure_of(self, leg: Leg) -> str | None:
        """Return why a call counts as failed, None if it went well."""
        assert leg.hangup is not None
        timeout = f"within {self.plan.answer_timeout:g} s"
        if leg.answered_at is None:
            if leg.hangup.source != "caller":
                return f"turned away ({leg.hangup.cause})"
            status = self._webhook_status(leg)
            if status is None:
                return "the webhook was not acknowledged"
            if status >= 300:
                return f"the webhook was refused (HTTP {status})"
            return f"not answered {timeout}"
        if leg.audio.started_at is None:
            if any(event[1:] == ("socket closed", "failed") for event in leg.events):
                return "the media socket was refused"
            if leg.hangup.source == "caller":
                return f"no media {timeout}"
            return "hung up on before there were media"
        # Once the call has ended, either side may close first.
        ends = [event.kind for event in leg.events if event.kind in ("socket closed", "ended")]
        if leg.hangup.source == "caller" and ends[0] == "socket closed":
            return "the media socket was lost"
        return None

    def _webhook_status(self, leg: Leg) -> int | None:
        statuses = [
            delivery.status
            for delivery in self.carrier.webhook_deliveries
            if delivery.event_type == _INITIATED
            and delivery.payload["call_control_id"] == leg.names.call_control_id
        ]
        return statuses[-1] if statuses else None
