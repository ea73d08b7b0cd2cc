"""``telnyx-trio demo``: a whole call on this machine, shown as it happens."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
import trio
from numpy.typing import NDArray

from .. import (
    Call,
    ConfigurationError,
    DtmfReceived,
    LocalRecording,
    MarkReturned,
    PcmData,
    ServerConfig,
    serve_calls,
)
from ..testing import CALLER_WAV, GREETING_WAV, CarrierSettings, Leg, Phone, open_carrier
from ._echo import find_echo
from ._table import print_table

_DESCRIPTION = """\
Carry a whole call over real sockets on this machine, without account, phone or network. A server
starts, the simulated caller dials in and speaks a sentence, the agent greets and echoes, a digit is
pressed, the caller hangs up. Then a short table follows, and DIR has call.wav (left: the caller's
voice, right: what the caller heard), call.png (both as waveforms, and what
happened to them) and call.json.
"""

_EPILOG = """\
examples:
  telnyx-trio demo
  telnyx-trio demo --leg-encoding PCMA              a call from Europe; we still send PCMU
  telnyx-trio demo --send-encoding L16 --byteorder big
  telnyx-trio demo --json | jq .delay_p99_ms
"""

_SPEAK_AT: Final = 3.2  # once the greeting, of 2.5 s, is over
_SPOKEN: Final = 5.0  # seconds of the sentence that are looked for
_SECTION: Final = 0.25
"""Seconds of it that are looked for at a time: after a stall of the machine the rest is later."""
_PRESS_AT: Final = 4.5
_HANG_UP_AT: Final = 10.0
_TIMEOUT: Final = 18.0
_LINE_NOISE: Final = 30
"""Peak in int16 steps: a phone line is never quite silent."""

_MIN_CORRELATION: Final = 0.9


@dataclass
class _Observed:
    """What the agent's side noticed.

    Attributes:
        call: the call, once it is up.
        dropped: packets received before the echo began.
        before_echo: packets sent before the echo began.
        digits: keys that were pressed.
        recording: of the call.
    """

    call: Call | None = None
    recording: LocalRecording | None = None
    dropped: int = 0
    before_echo: int = 0
    digits: str = ""


def fill_demo_parser(parser: argparse.ArgumentParser) -> None:
    """Make this command's parser of an empty one."""
    parser.description, parser.epilog = _DESCRIPTION, _EPILOG
    encodings = ("PCMU", "PCMA", "L16")
    parser.add_argument(
        "--leg-encoding",
        choices=encodings,
        default="PCMU",
        help="of the caller's leg (%(default)s)",
    )
    parser.add_argument(
        "--send-encoding", choices=encodings, default="PCMU", help="of what we send (%(default)s)"
    )
    parser.add_argument(
        "--byteorder",
        choices=("little", "big"),
        default="little",
        help="of L16 at the carrier; the server has to find it out (%(default)s)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("telnyx-trio-demo"),
        metavar="DIR",
        help="where the recording, the picture and the figures go (%(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON, only")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    options.output.mkdir(parents=True, exist_ok=True)
    report, problem = trio.run(_demonstrate, options)
    (options.output / "call.json").write_text(json.dumps(report, indent=2) + "\n")
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        print()
        print_table(_rows(report))
        for name in ("call.wav", "call.png", "call.json"):
            if (options.output / name).exists():
                print(f"wrote {options.output / name}")
    if problem:
        print(f"telnyx-trio: {problem}", file=sys.stderr)
    return 1 if problem else 0


async def _demonstrate(options: argparse.Namespace) -> tuple[dict[str, Any], str | None]:
    timeline = _Timeline(quiet=options.json)
    observed = _Observed()
    settings = CarrierSettings(leg_encoding=options.leg_encoding, byteorder=options.byteorder)
    async with open_carrier(settings=settings) as carrier, trio.open_nursery() as nursery:
        config = ServerConfig(
            api_key=carrier.api_key,
            public_key=carrier.public_key,
            base_url=carrier.base_url,
            port=0,
            send_encoding=options.send_encoding,
            receive_encoding="L16" if options.send_encoding == "L16" else None,
        )

        async def agent(call: Call) -> None:
            observed.call = call
            async with call.record_to(options.output / "call.wav") as observed.recording:
                await _greet_and_echo(call, timeline, observed)

        server = await nursery.start(serve_calls, agent, config)
        timeline.show(f"the server listens at {server.url}")
        carrier.webhook_url = f"{server.url}/telnyx/events"
        caller = Phone(
            says=CALLER_WAV,
            speak_at=_SPEAK_AT,
            digits=[(_PRESS_AT, "5")],
            hang_up_at=_HANG_UP_AT,
            noise=_LINE_NOISE,
        )
        timeline.show("the caller dials +15550002222")
        leg = await carrier.call_in(to="+15550002222", phone=caller)
        with trio.move_on_after(_TIMEOUT):
            await leg.wait_ended()
            timeline.show("the caller hung up")
            await server.stop()
            timeline.show_outcome(observed)
        nursery.cancel_scope.cancel()
    # The carrier's own record, which nothing of ours has touched.
    samples, sample_rate = leg.recording()
    report = _report(options, leg, samples, sample_rate, observed)
    if observed.recording is not None:
        try:
            await observed.recording.save_picture(options.output / "call.png")
        except ConfigurationError as error:
            if not options.json:
                print(f"no call.png: {error}")
    problem = None
    if observed.call is None or observed.call.outcome is None:
        problem = "the call did not come to its end in time"
    elif report["correlation"] < _MIN_CORRELATION:
        problem = "the caller did not hear the sentence come back"
    return report, problem


async def _greet_and_echo(call: Call, timeline: _Timeline, observed: _Observed) -> None:
    receive, send = call.stream.media_format, call.stream.send_format
    timeline.show(
        f"the call is up: {receive.encoding} {receive.sample_rate} Hz comes,"
        f" {send.encoding} {send.sample_rate} Hz goes"
    )
    timeline.show("the agent greets")
    await call.send(PcmData.from_wav(GREETING_WAV))
    await call.send_mark("greeted")
    async for event in call.events:
        if isinstance(event, MarkReturned):
            break
    timeline.show("the greeting was heard; the agent echoes")
    # What came in meanwhile would be echoed late.
    while call.received.statistics().buffered:
        call.received.receive_nowait()
        observed.dropped += 1
    observed.before_echo = call.statistics().packets_sent
    call.nursery.start_soon(_watch_keys, call, timeline, observed)
    async for pcm in call.received:
        await call.send(pcm)


async def _watch_keys(call: Call, timeline: _Timeline, observed: _Observed) -> None:
    async for event in call.events:
        if isinstance(event, DtmfReceived):
            observed.digits += event.digit
            timeline.show(f"the caller pressed {event.digit}")


class _Timeline:
    """Prints what happens, with the seconds since the start."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._start = trio.current_time()

    def show(self, text: str) -> None:
        if not self._quiet:
            print(f"{trio.current_time() - self._start:6.2f} s  {text}", flush=True)

    def show_outcome(self, observed: _Observed) -> None:
        outcome = observed.call.outcome if observed.call else None
        if outcome is not None:
            by = "the far side" if outcome.ended_by == "them" else "us"
            self.show(f"the call ended, by {by}: {outcome.hangup_cause or outcome.reason.value}")


def _report(
    options: argparse.Namespace,
    leg: Leg,
    samples: NDArray[np.int16],
    sample_rate: int,
    observed: _Observed,
) -> dict[str, Any]:
    statistics = observed.call.statistics() if observed.call else None
    outcome = observed.call.outcome if observed.call else None
    delays = _delays(leg, observed)
    echoes = [
        find_echo(samples, sample_rate, start=float(start), duration=_SECTION)
        for start in _SPEAK_AT + np.arange(0.0, _SPOKEN, _SECTION)
    ]
    echo_delay, correlation = (median(values) for values in zip(*echoes, strict=True))
    return {
        "leg_encoding": options.leg_encoding,
        "send_encoding": options.send_encoding,
        "byteorder": options.byteorder,
        "duration": round(outcome.duration, 3) if outcome else None,
        "outcome": {**asdict(outcome), "reason": outcome.reason.value} if outcome else None,
        "packets_received": statistics.packets_received if statistics else 0,
        "packets_sent": statistics.packets_sent if statistics else 0,
        "delay_p50_ms": _percentile(delays, 50),
        "delay_p99_ms": _percentile(delays, 99),
        "lost": statistics.missing + statistics.audio_dropped if statistics else 0,
        "late": statistics.late if statistics else 0,
        "digits": observed.digits,
        "echo_delay_ms": round(echo_delay * 1000),
        "correlation": round(correlation, 4),
        "receive_byteorder": statistics.receive_byteorder if statistics else None,
        "send_byteorder": statistics.send_byteorder if statistics else None,
    }


def _delays(leg: Leg, observed: _Observed) -> NDArray[np.float64]:
    """Return, for each echoed packet, seconds from leaving the carrier to coming back to it."""
    arrivals = np.array(leg.counters.arrivals[observed.before_echo :], float)
    # Packet n of the caller leaves when its last sample was spoken.
    departures = (observed.dropped + 1 + np.arange(arrivals.size)) * 0.02
    delays: NDArray[np.float64] = arrivals - departures
    return delays


def _percentile(delays: NDArray[np.float64], percent: float) -> float | None:
    return round(float(np.percentile(delays, percent)) * 1000, 2) if delays.size else None


def _rows(report: dict[str, Any]) -> list[tuple[str, str]]:
    def ms(value: float | None) -> str:
        return "-" if value is None else f"{value:.1f} ms"

    return [
        ("duration", f"{report['duration']} s"),
        ("packets received / sent", f"{report['packets_received']} / {report['packets_sent']}"),
        ("added delay p50 / p99", f"{ms(report['delay_p50_ms'])} / {ms(report['delay_p99_ms'])}"),
        ("lost / late", f"{report['lost']} / {report['late']}"),
        ("digits", report["digits"] or "-"),
        ("echo heard after", f"{report['echo_delay_ms']} ms"),
        ("correlation of the echo", f"{report['correlation']:.3f}"),
    ]
