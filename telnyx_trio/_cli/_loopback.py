"""Whole calls on this machine, and whether the sound came back as it was said."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Final, Literal

import numpy as np
import trio

from .. import Call, Finding, FindingStatus, MediaStreamStatistics, PcmData, ServerConfig
from ..servers import Handler, open_server
from ..testing import CALLER_WAV, CarrierSettings, Leg, Phone, open_carrier
from ._echo import find_echo

CALL: Final = "loopback call"
CODEC: Final = "codec"
BYTE_ORDER: Final = "byte order"
DELAY: Final = "round-trip delay"
CLIPPING: Final = "clipping"
LOSS: Final = "lost packets"

LOOPBACK_TIMEOUT: Final = 20.0
"""Seconds for all of it; it takes three on a machine that has nothing else to do."""

_SPOKEN: Final = 1.5
_HANG_UP_AT: Final = 2.2
_SECTION: Final = 0.125
"""Seconds. Each section is looked for by itself: a gap, if there is one, moves what follows it. It
also spoils the section that it falls into, and there are to be more of these than gaps."""

_PEAK: Final = 29_000  # a tenth below full scale, so that any gain shows
_FULL_SCALE: Final = 32_000  # what PCMU makes of full scale is a little less
_MIN_CORRELATION: Final = 0.97
_GOOD_DELAY: Final = 0.3
"""Seconds there and back. ITU-T G.114 wants 0.15 s one way for the whole of a connection."""

_MAX_DELAY: Final = 1.0
_BUSY: Final = "Something else keeps this machine busy: end it, or take a faster machine"
_DEFECT: Final = "Does telnyx-trio demo fail too? Then report it, with both outputs"


@dataclass(frozen=True)
class LoopbackCall:
    """What was measured of one call. Durations are seconds.

    Attributes:
        name: of its codec.
        is_up: whether it was answered and had media.
        byteorder: of L16 at the carrier; None for other codecs.
        found_byteorder: what the server took it for.
        correlation: of what came back with what was said, up to 1.
        delay: until it came back.
        clipped: samples at full scale in what came back.
        lost: packets that did not get through, either way.
    """

    name: str
    is_up: bool
    byteorder: Literal["little", "big"] | None = None
    found_byteorder: str | None = None
    correlation: float = 0.0
    delay: float = 0.0
    clipped: int = 0
    lost: int = 0


async def echo(call: Call) -> None:
    """Send back what comes."""
    async for pcm in call.received:
        await call.send(pcm)


async def check_loopback(handler: Handler = echo) -> list[Finding]:
    """Carry three calls through the simulator at once: PCMU, and L16 in both byte orders.

    Args:
        handler: of the calls; it has to send back what comes.

    Blocks: about three seconds, at most ``LOOPBACK_TIMEOUT``.
    """
    calls: dict[int, LoopbackCall] = {}
    orders: tuple[Literal["little", "big"] | None, ...] = (None, "little", "big")

    async def carry(place: int) -> None:
        calls[place] = await _carry(handler, orders[place])

    with trio.move_on_after(LOOPBACK_TIMEOUT):
        async with trio.open_nursery() as nursery:
            for place in range(len(orders)):
                nursery.start_soon(carry, place)
    done = [
        calls.get(place, LoopbackCall(_name(order), False)) for place, order in enumerate(orders)
    ]
    return judge_loopback(done)


async def _carry(handler: Handler, byteorder: Literal["little", "big"] | None) -> LoopbackCall:
    statistics: list[MediaStreamStatistics] = []

    async def observed(call: Call) -> None:
        try:
            await handler(call)
        finally:
            statistics.append(call.statistics())

    is_l16 = byteorder is not None
    settings = CarrierSettings(
        leg_encoding="L16" if is_l16 else "PCMU", byteorder=byteorder or "little"
    )
    async with open_carrier(settings=settings) as carrier:
        config = ServerConfig(
            api_key=carrier.api_key,
            public_key=carrier.public_key,
            base_url=carrier.base_url,
            port=0,
            send_encoding="L16" if is_l16 else "PCMU",
            receive_encoding="L16" if is_l16 else None,
        )
        async with open_server(config, observed) as server:
            carrier.webhook_url = f"{server.url}/telnyx/events"
            caller = Phone(says=_voice(), hang_up_at=_HANG_UP_AT)
            leg = await carrier.call_in(to="+15550002222", phone=caller)
            await leg.wait_ended()
            await server.stop()
    if leg.audio.started_at is None or not statistics:
        return LoopbackCall(_name(byteorder), False)
    return await trio.to_thread.run_sync(partial(_measure, leg, statistics[0], byteorder))


def _voice() -> tuple[np.ndarray[tuple[int], np.dtype[np.int16]], int]:
    """Return the first of the recorded sentence, nearly as loud as can be."""
    voice = PcmData.from_wav(CALLER_WAV).resample(8000)
    samples = voice.mono_int16()[: round(_SPOKEN * 8000)].astype(float)
    return np.rint(samples * (_PEAK / np.abs(samples).max())).astype(np.int16), 8000


def _measure(
    leg: Leg, statistics: MediaStreamStatistics, byteorder: Literal["little", "big"] | None
) -> LoopbackCall:
    recording, sample_rate = leg.recording()
    starts = np.arange(0.0, _SPOKEN, _SECTION)
    echoes = [
        find_echo(recording, sample_rate, start=float(start), duration=_SECTION) for start in starts
    ]
    counters = leg.counters
    return LoopbackCall(
        name=_name(byteorder),
        is_up=True,
        byteorder=byteorder,
        found_byteorder=statistics.receive_byteorder,
        correlation=median(correlation for _, correlation in echoes),
        delay=median(delay for delay, _ in echoes),
        clipped=int(np.count_nonzero(np.abs(recording[1].astype(int)) >= _FULL_SCALE)),
        lost=statistics.missing
        + statistics.audio_dropped
        + counters.refused_packets
        + counters.dropped_messages,
    )


def _name(byteorder: str | None) -> str:
    return "PCMU" if byteorder is None else f"L16 {byteorder}-endian"


def judge_loopback(calls: Sequence[LoopbackCall]) -> list[Finding]:
    """Return the findings of these calls, which is all that is known of them."""
    down = [call.name for call in calls if not call.is_up]
    names = ", ".join(call.name for call in calls)
    first = _judged(
        CALL, not down, "answered, with media", names, f"none: {', '.join(down)}", _DEFECT
    )
    if down:
        reason = "not checked: not all calls were up"
        return [
            first,
            *(
                Finding(name=name, status=FindingStatus.SKIPPED, found=reason)
                for name in (CODEC, BYTE_ORDER, DELAY, CLIPPING, LOSS)
            ),
        ]
    worst = min(calls, key=lambda call: call.correlation)
    likeness = f"{math.floor(worst.correlation * 1000) / 1000:.3f} like it was said ({worst.name})"
    orders = [call for call in calls if call.byteorder is not None]
    wrong = [
        f"{call.found_byteorder} for {call.byteorder}"
        for call in orders
        if call.found_byteorder != call.byteorder
    ]
    clipped, lost = sum(call.clipped for call in calls), sum(call.lost for call in calls)
    return [
        first,
        _judged(
            CODEC,
            worst.correlation >= _MIN_CORRELATION,
            f"sound that is {_MIN_CORRELATION} like it was said, at least",
            likeness,
            likeness,
            _DEFECT,
        ),
        _judged(
            BYTE_ORDER,
            not wrong,
            "that of the carrier",
            ", ".join(f"{call.byteorder}-endian" for call in orders),
            ", ".join(wrong),
            _DEFECT,
        ),
        _judge_delay(max(call.delay for call in calls)),
        _judged(CLIPPING, clipped == 0, "no sample at full scale", "none", str(clipped), _DEFECT),
        _judged(LOSS, lost == 0, "none", "none", str(lost), _BUSY),
    ]


def _judge_delay(delay: float) -> Finding:
    status = FindingStatus.FAIL if delay > _MAX_DELAY else FindingStatus.WARNING
    return Finding(
        name=DELAY,
        status=FindingStatus.PASS if delay <= _GOOD_DELAY else status,
        expected=f"{_GOOD_DELAY * 1000:.0f} ms at most, on one machine",
        found=f"{delay * 1000:.0f} ms",
        remedy=_BUSY if delay > _GOOD_DELAY else "",
    )


def _judged(
    name: str, is_well: bool, expected: str, found_well: str, found_ill: str, remedy: str
) -> Finding:
    if is_well:
        return Finding(name=name, status=FindingStatus.PASS, expected=expected, found=found_well)
    return Finding(
        name=name, status=FindingStatus.FAIL, expected=expected, found=found_ill, remedy=remedy
    )
