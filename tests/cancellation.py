"""Cancels one and the same call at each of its task steps, one run a step, and looks what is left.

How it works. Trio tells an Instrument of each step that any task is about to take: ours and the
carrier's. The instrument counts them, and at the k-th one cancels a scope. The call runs in memory
under MockClock, and Trio's scheduler, which shuffles, is put under the seed of Hypothesis; so every
run takes the same steps, up to the one at which it is cancelled. A run with a k that is never
reached tells how many steps there are.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scenarios import CALLEE, MEMORY_URL, OUR_NUMBER, make_config
from trio.testing import MockClock

from telnyx_trio import Call, CallEnded, CallServer, MarkReturned, PcmData, open_server
from telnyx_trio._websocket._state import State
from telnyx_trio.testing import (
    Carrier,
    CarrierSettings,
    Doors,
    MemoryTransport,
    MemoryWebSocket,
    Phone,
    open_carrier,
)

Direction: TypeAlias = Literal["inbound", "outbound"]
Target: TypeAlias = Literal["call", "server"]
MediaAuth: TypeAlias = Literal["path", "header"]
Speech: TypeAlias = Literal["sent", "played"]

REST_LATENCY: Final = 0.03

SETTLE: Final = 8.0
"""Simulated seconds in which a carrier must have been told of the end: the 5 s in which a late
reply is waited for, and the hangup."""

ON_THE_WAY: Final = 3.0
"""Simulated seconds in which whatever is on its way has come: requests, webhooks, their retries."""

NEVER: Final = 10**9


@dataclass(frozen=True)
class Plan:
    """Which call is cancelled, and what of it.

    Attributes:
        direction: of the call.
        target: what is cancelled: the call's own scope, or the server around it.
        media_auth: as the server's setting.
        speech: whether what is said, on an outbound call, is sent or played.
    """

    direction: Direction
    target: Target
    media_auth: MediaAuth
    speech: Speech = "sent"


class StepCanceller(trio.abc.Instrument):
    """Counts task steps while ``counting``, and cancels at one of them.

    ``cancel`` says whether there was anything to cancel; if not, the next step is tried.
    """

    def __init__(self, step: int) -> None:
        self.counting = False
        self.steps = 0
        self.has_cancelled = False
        self.cancel: Callable[[], bool] = lambda: False
        self._step = step

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if self.counting:
            self.steps += 1
            if self.steps >= self._step and not self.has_cancelled:
                self.has_cancelled = self.cancel()


class ErrorLog(logging.Handler):
    """Keeps what the library complains about: a cancelled call is no reason to."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(self.format(record))


class WatchedDoors(Doors):
    """Doors that see whether the server closes each media socket that comes through them."""

    def __init__(self) -> None:
        super().__init__()
        self.open_media: list[MemoryWebSocket] = []

    async def handle_media(
        self, websocket: MemoryWebSocket, path: str, headers: list[tuple[bytes, bytes]]
    ) -> None:
        self.open_media.append(websocket)
        await super().handle_media(websocket, path, headers)
        if all(end._state is State.CLOSED for end in (websocket, websocket._peer)):
            self.open_media.remove(websocket)


@dataclass
class Sweep:
    """What came of cancelling a call at each of its steps.

    Attributes:
        points: how many steps there were.
        problems: what was left open or went wrong, with the step.
    """

    points: int
    problems: list[str]


def sweep(plan: Plan) -> Sweep:
    """Run the call once uncancelled, then once for each of its steps."""
    points, problems = _run(plan, NEVER)
    for step in range(1, points + 1):
        _, found = _run(plan, step)
        problems.extend(f"step {step}: {problem}" for problem in found)
    gc.collect()  # an unawaited coroutine or an open resource is told of now
    return Sweep(points, problems)


def _run(plan: Plan, step: int) -> tuple[int, list[str]]:
    """Return the steps counted and the problems found."""
    canceller = StepCanceller(step)
    problems: list[str] = []
    errors = ErrorLog()

    def run() -> None:
        try:
            trio.run(
                _live,
                plan,
                canceller,
                problems,
                clock=MockClock(autojump_threshold=0),
                instruments=[canceller],
            )
        except Exception as error:
            problems.append(f"{error!r} escaped")

    logger = logging.getLogger("telnyx_trio")
    logger.addHandler(errors)
    try:
        _run_seeded(run=run)
    finally:
        logger.removeHandler(errors)
    problems.extend(f"logged: {message}" for message in errors.messages)
    return canceller.steps, problems


# Not for its examples: Hypothesis seeds Trio's scheduler, each time alike.
@settings(max_examples=1, database=None, deadline=None, suppress_health_check=list(HealthCheck))
@given(_=st.none())
def _run_seeded(_: None, *, run: Callable[[], None]) -> None:
    run()


async def _live(plan: Plan, canceller: StepCanceller, problems: list[str]) -> None:
    doors = WatchedDoors()
    transport = MemoryTransport(doors.handle_webhook, doors.handle_media)
    carrier_settings = CarrierSettings(rest_latency=REST_LATENCY)
    async with open_carrier(transport=transport, settings=carrier_settings, seed=1) as carrier:
        server: CallServer | None = None
        with trio.move_on_after(60) as patience:
            server = await _serve(plan, canceller, carrier, doors)
        canceller.counting = False
        if patience.cancelled_caught:
            problems.append("the call, or its server, did not end")
        if server is not None and len(server.registry):
            problems.append(f"registry: {server.registry.list_active()}")
        if server is not None and server.statistics().live_calls:
            problems.append("the server still counts a call")
        with trio.move_on_after(SETTLE):
            await trio.sleep(ON_THE_WAY)
            for leg in carrier.legs:
                await leg.wait_ended()
        problems.extend("media socket open" for _ in doors.open_media)
        statistics = server.statistics() if server is not None else None
        if statistics and (statistics.inbound_calls or statistics.outbound_calls):
            # Else cancelled before the webhook came: a caller of whom nobody knew rings on.
            problems.extend(f"still up at the carrier: {leg.state}" for leg in carrier.live_legs())


async def _serve(
    plan: Plan, canceller: StepCanceller, carrier: Carrier, doors: Doors
) -> CallServer | None:
    """Carry the one call; returns the server, closed."""
    server: CallServer | None = None
    config = make_config(
        carrier,
        public_url=MEMORY_URL,
        media_auth=plan.media_auth,
        call={"lead": 0.06},
    )
    with trio.CancelScope() as scope:
        if plan.target == "server":
            canceller.cancel = lambda: _cancel(scope)
            canceller.counting = True
        async with open_server(
            config,
            _talk_until_hung_up,
            prepare=_prepare,
            listen=False,
            transport=carrier.http_transport(),
        ) as server:
            doors.server = server
            try:
                if plan.direction == "inbound":
                    await _carry_inbound(plan, canceller, carrier, server)
                else:
                    await _carry_outbound(plan, canceller, server)
            finally:
                if plan.target == "call":
                    canceller.counting = False
        doors.server = None
    doors.server = None
    return server


async def _carry_inbound(
    plan: Plan, canceller: StepCanceller, carrier: Carrier, server: CallServer
) -> None:
    if plan.target == "call":
        canceller.cancel = lambda: _cancel(*(leg.scope for leg in server._legs.values()))
        canceller.counting = True
    leg = await carrier.call_in(to=OUR_NUMBER, phone=Phone(digits=[(0.03, "5")]))
    await leg.wait_media_started()
    await trio.sleep(0.09)
    if not canceller.has_cancelled:  # else it is for the server to hang up
        await leg.hang_up()
    await server.stop(drain_timeout=5)


async def _carry_outbound(plan: Plan, canceller: StepCanceller, server: CallServer) -> None:
    with trio.CancelScope() as scope:
        if plan.target == "call":
            canceller.cancel = lambda: _cancel(scope)
            canceller.counting = True
        async with server.dial(to=CALLEE) as call:
            await _TALKS[plan.speech](call)
            await call.hangup(after_playback=plan.speech == "played")
            async for _ in call.received:
                pass
    await server.stop(drain_timeout=5)


async def _prepare(_: object) -> str:
    await trio.sleep(0.01)
    return "ready"


async def _talk(call: Call) -> None:
    """Do a bit of everything, so that there is a step of each kind to be cancelled at."""
    await call.send(_speech(0.04))
    await call.send_mark("said")
    call.nursery.start_soon(_talk_too_much, call)
    async for event in call.events:
        if isinstance(event, MarkReturned):
            break
    await call.clear()
    await call.received.receive()


async def _play(call: Call) -> None:
    """Use playbacks in every way in which one waits for something."""
    first = await call.play(_speak_slowly())
    second = await call.play([_speech(0.03)])
    with trio.move_on_after(0.03):
        await first.done()
    first.interrupt()
    await second.done()
    await call.play(_speech(0.03))
    await call.drain()
    await call.play(_speak_slowly())
    await call.received.receive()


async def _speak_slowly() -> AsyncIterator[PcmData]:
    try:
        for _ in range(3):
            yield _speech(0.02)
            await trio.sleep(0.01)
    finally:
        await trio.lowlevel.checkpoint()


_TALKS: Final = {"sent": _talk, "played": _play}


async def _talk_until_hung_up(call: Call) -> None:
    await _talk(call)
    async for _ in call.received:
        pass


async def _talk_too_much(call: Call) -> None:
    """Fill the queue of what is to be sent, and wait at it."""
    try:
        while True:
            await call.send(_speech(1.0))
    except CallEnded:
        pass


def _cancel(*scopes: trio.CancelScope) -> bool:
    for scope in scopes:
        scope.cancel()
    return bool(scopes)


def _speech(seconds: float) -> PcmData:
    return PcmData(8000, samples=np.full(round(8000 * seconds), 1000, np.int16))
