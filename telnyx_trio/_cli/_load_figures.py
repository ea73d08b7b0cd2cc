"""What is measured of a simulated call, and the figures of many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from ..testing import Leg
from ._echo import MIN_CORRELATION, find_echo

_PACKET: Final = 0.02  # seconds
_AUDIBLE: Final = 100
"""In int16 steps, -50 dB: more than what a codec makes of silence."""

_ECHO_MARGIN: Final = 1.0
"""Seconds at the end of a call whose echo may not be back yet."""

_PERCENTILES: Final = (50, 90, 99, 100)


@dataclass(frozen=True)
class CallResult:
    """One simulated call. Durations are seconds; None where there is nothing to measure.

    Attributes:
        number: counted from 1.
        failure: why it counts as failed, None if it does not.
        ended_by: who hung up.
        hangup_cause: as the carrier's webhook told it.
        answer_delay: from the first ring to the answer.
        audio_delay: from the answer to the first sound that the caller hears.
        echo_delay: what the server adds: from when a packet of the caller's voice has left to when
            its echo is heard.
        correlation: of the echo; what is less alike than 0.5 has no ``echo_delay``.
        duration: from the start of the media to the end.
        packets_sent, packets_heard: by the carrier; to the caller.
        lost: packets of the server that could not be played, and packets that it did not take.
        late: packets that this process sent more than 20 ms late.
        gaps: times that the sound broke off for less than 0.2 s.
    """

    number: int
    failure: str | None
    ended_by: str
    hangup_cause: str
    answer_delay: float | None
    audio_delay: float | None
    echo_delay: float | None
    correlation: float
    duration: float
    packets_sent: int
    packets_heard: int
    lost: int
    late: int
    gaps: int


def measure(
    leg: Leg, *, number: int, failure: str | None, speaks_at: float, speaks_for: float
) -> CallResult:
    """Measure a call that is over. It takes some milliseconds of a processor.

    Args:
        leg: at the carrier.
        number: of the call.
        failure: why it failed.
        speaks_at: when the caller began to speak, in seconds from the start of the media.
        speaks_for: how long, in seconds.
    """
    hangup, counters = leg.hangup, leg.counters
    started_at, answered_at, ended_at = leg.audio.started_at, leg.answered_at, leg.ended_at
    assert hangup is not None
    assert ended_at is not None
    recording, sample_rate = leg.recording()
    audible = np.flatnonzero(np.abs(recording[1].astype(int)) > _AUDIBLE)
    until = min(speaks_at + speaks_for, recording.shape[1] / sample_rate - _ECHO_MARGIN)
    echo_delay, correlation = find_echo(
        recording, sample_rate, start=speaks_at, duration=max(0.0, until - speaks_at)
    )
    audio_delay = None
    if audible.size and started_at is not None and answered_at is not None:
        audio_delay = started_at - answered_at + int(audible[0]) / sample_rate
    return CallResult(
        number=number,
        failure=failure,
        ended_by=hangup.source,
        hangup_cause=hangup.cause,
        answer_delay=None if answered_at is None else answered_at - leg.began_at,
        audio_delay=audio_delay,
        echo_delay=echo_delay - _PACKET if correlation >= MIN_CORRELATION else None,
        correlation=round(correlation, 3),
        duration=0.0 if started_at is None else ended_at - started_at,
        packets_sent=counters.packets_sent,
        packets_heard=counters.packets_received,
        lost=counters.refused_packets + counters.dropped_messages,
        late=counters.late_packets,
        gaps=leg.audio.player.underruns,
    )


def summarise(results: Sequence[CallResult], *, duration: float) -> dict[str, Any]:
    """Return the figures of many calls, in the form of ``--json``.

    Args:
        results: of every call that was placed.
        duration: of the whole run, in seconds.
    """
    failures = Counter(result.failure for result in results if result.failure is not None)
    heard_nothing = sum(result.audio_delay is None and result.failure is None for result in results)
    return {
        "calls": len(results),
        "failed": failures.total(),
        "failures": dict(failures.most_common()),
        "heard_nothing": heard_nothing,
        "duration": round(duration, 2),
        "time_to_answer_ms": _percentiles([result.answer_delay for result in results]),
        "time_to_first_audio_ms": _percentiles([result.audio_delay for result in results]),
        "echo_delay_ms": _percentiles([result.echo_delay for result in results]),
        "echoes": sum(result.echo_delay is not None for result in results),
        "packets_sent": sum(result.packets_sent for result in results),
        "packets_heard": sum(result.packets_heard for result in results),
        "lost": sum(result.lost for result in results),
        "late": sum(result.late for result in results),
        "gaps": sum(result.gaps for result in results),
        "results": [asdict(result) for result in results],
    }


def _percentiles(durations: Sequence[float | None]) -> dict[str, float] | None:
    known = [duration for duration in durations if duration is not None]
    if not known:
        return None
    values = np.percentile(np.array(known), _PERCENTILES) * 1000
    return {f"p{p}": round(float(v), 1) for p, v in zip(_PERCENTILES, values, strict=True)}


def percentile_rows(summary: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return the rows of the percentile table: a name, then p50, p90, p99 and the most."""
    named = (
        ("time to answer", "time_to_answer_ms"),
        ("time to first audio", "time_to_first_audio_ms"),
        ("added delay of the echo", "echo_delay_ms"),
    )
    return [
        (name, *(f"{value:.1f}" for value in summary[key].values()))
        if summary[key]
        else (name, *("-" for _ in _PERCENTILES))
        for name, key in named
    ]


def count_rows(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the rows of what is counted over all calls."""
    calls, failed = summary["calls"], summary["failed"]
    return [
        ("calls", f"{calls}, {failed} failed, in {summary['duration']:.1f} s"),
        *((f"failed: {cause}", str(count)) for cause, count in summary["failures"].items()),
        ("heard nothing", str(summary["heard_nothing"])),
        ("heard an echo", str(summary["echoes"])),
        ("packets sent / heard", f"{summary['packets_sent']} / {summary['packets_heard']}"),
        ("lost", str(summary["lost"])),
        ("sent late, by this machine", str(summary["late"])),
        ("gaps heard", str(summary["gaps"])),
    ]
