"""``telnyx-trio call``: simulated calls to a running server."""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import sys
from pathlib import Path
from typing import Any, Final

import trio

from .. import ConfigurationError, PcmData
from ..testing import CALLER_WAV, CarrierSettings, Phone, open_carrier
from ._call_key import read_signing_key
from ._call_target import CARRIER_HOST, CARRIER_PORT, DEFAULT_URL, Target
from ._exit_status import INTERRUPTED
from ._load import Load, LoadPlan
from ._load_figures import count_rows, percentile_rows, summarise
from ._progress import show_progress
from ._table import print_columns, print_table

_DESCRIPTION = """\
Call a running server, as a carrier would: signed webhooks, answered calls, media in real time. The
caller says a sentence and listens. Then a table follows, of all calls: how long until the answer
and the first sound, and how late an echo is, if the server echoes.

The carrier is this command. Its REST API is on this machine only, at --port, and its webhooks are
signed with a key of your own, which is kept in your state folder. So the server must have been
started with the environment that --print-environment prints, which stays the same.
"""

_EPILOG = """\
examples:
  telnyx-trio call                                  in one terminal, after this in another:
      eval "$(telnyx-trio call --print-environment)"
      telnyx-trio serve MODULE:HANDLER --skip-checks
  telnyx-trio call --say question.wav --output answer.wav
      what the caller said is on the left, what the caller heard on the right
  telnyx-trio call --count 100 --concurrency 20 --duration 30
      load; Ctrl-C ends the calls and shows the table all the same
  telnyx-trio call --send-dtmf 12w3# --json | jq .time_to_first_audio_ms.p99
  telnyx-trio call --url https://phone.example.com  through its proxy, to a server on this machine

status: 0 all calls went well, 1 some failed, 2 wrong usage or no server, 130 after Ctrl-C
"""

_WEBHOOK_TIMEOUT: Final = 2.0  # to tell the server of the last hangups
_LINGER: Final = 0.5
"""Seconds that the carrier stays: the server may hang up on calls of whose end it has not heard."""

_LISTEN: Final = 2.0  # seconds after the last word
_SPEAK_AT: Final = 0.5
_FIRST_KEY_AT: Final = 0.5
_KEY_INTERVAL: Final = 0.25
_PAUSES: Final = {"w": 0.5, "W": 1.0}
"""Seconds, as in Telnyx's command ``send_dtmf``."""

_LEG_RATE: Final = 8000  # Hz
_LINE_NOISE: Final = 8  # peak in int16 steps: a phone line is never quite silent


def fill_call_parser(parser: argparse.ArgumentParser) -> None:
    """Make this command's parser of an empty one."""
    parser.description, parser.epilog = _DESCRIPTION, _EPILOG
    parser.add_argument("--url", default=DEFAULT_URL, help="of the server (%(default)s)")
    parser.add_argument(
        "--port", type=int, default=CARRIER_PORT, help="of this carrier's REST API (%(default)s)"
    )
    parser.add_argument(
        "--print-environment",
        action="store_true",
        help="print the settings that a server must be started with, and call nobody",
    )
    parser.add_argument("--to", default="+15550002222", metavar="NUMBER", help="to dial")
    parser.add_argument(
        "--say", type=Path, default=CALLER_WAV, metavar="FILE", help="WAV file (a recorded voice)"
    )
    parser.add_argument(
        "--send-dtmf",
        type=parse_digits,
        default=(),
        metavar="DIGITS",
        help="keys to press, from half a second on; w waits 0.5 s, W 1 s",
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE|DIR", help="WAV file for one call, folder for many"
    )
    parser.add_argument("--count", type=_positive, default=1, help="calls (%(default)s)")
    parser.add_argument(
        "--concurrency", type=_positive, default=1, help="calls at a time (%(default)s)"
    )
    parser.add_argument(
        "--rate",
        type=_amount,
        default=20.0,
        metavar="CALLS",
        help="new calls a second, at most (%(default)g)",
    )
    parser.add_argument(
        "--duration",
        type=_amount,
        metavar="SECONDS",
        help=f"of a call (what it says, and {_LISTEN:g} s)",
    )
    parser.add_argument(
        "--answer-timeout",
        type=_amount,
        default=10.0,
        metavar="SECONDS",
        help="from the first ring until there must be media (%(default)g)",
    )
    parser.add_argument(
        "--leg-encoding",
        choices=("PCMU", "PCMA", "L16"),
        default="PCMU",
        help="of the caller's leg (%(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON, only")
    parser.set_defaults(run=run)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"at least 1, not {number}")
    return number


def _amount(text: str) -> float:
    amount = float(text)
    if not 0 < amount <= 86_400:
        raise argparse.ArgumentTypeError(f"more than 0, and 86400 at most, not {text}")
    return amount


def parse_digits(text: str) -> tuple[tuple[float, str], ...]:
    """Return keys with their times from the start of the media, in seconds."""
    at, keys = _FIRST_KEY_AT, []
    for character in text:
        if character in _PAUSES:
            at += _PAUSES[character]
        elif character in "0123456789*#ABCD":
            keys.append((at, character))
            at += _KEY_INTERVAL
        else:
            raise argparse.ArgumentTypeError(f"0-9, *, #, A-D, w and W are keys, not {character!r}")
    return tuple(keys)


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    plan, target = _plan(options), Target(options.url, options.port)
    summary = trio.run(_call, options, plan, target)
    if summary is None:
        return 0
    if options.json:
        print(json.dumps(summary, indent=2))
    else:
        print_columns(("ms", "p50", "p90", "p99", "most"), percentile_rows(summary))
        print_table(count_rows(summary))
    if summary["interrupted"]:
        return INTERRUPTED
    if summary["failed"] == summary["calls"] > 0:
        print(f"telnyx-trio: {target.how_to_serve()}", file=sys.stderr)
    return 1 if summary["failed"] else 0


def _plan(options: argparse.Namespace) -> LoadPlan:
    """Read the options that hold for every call.

    Raises:
        ConfigurationError: they can't be had together, or the WAV file can't be read.
    """
    output: Path | None = options.output
    is_file = output is not None and output.suffix.lower() == ".wav"
    if is_file and options.count > 1:
        raise ConfigurationError(
            [f"--output {output} is one file: give a folder for several calls"]
        )
    try:
        # At the rate of the legs, so that it is not converted for each of them while others speak.
        voice = PcmData.from_wav(options.say).resample(_LEG_RATE)
    except (OSError, ValueError) as error:
        raise ConfigurationError([f"--say {options.say} can't be read: {error}"]) from error
    phone = Phone(
        says=(voice.mono_int16(), _LEG_RATE),
        speak_at=_SPEAK_AT,
        digits=options.send_dtmf,
        hang_up_at=options.duration or _SPEAK_AT + voice.duration + _LISTEN,
        noise=_LINE_NOISE,
    )

    def path_of(number: int) -> Path | None:
        return output if output is None or is_file else output / f"call-{number:04}.wav"

    if output is not None:
        (output.parent if is_file else output).mkdir(parents=True, exist_ok=True)
    return LoadPlan(
        count=options.count,
        concurrency=options.concurrency,
        rate=options.rate,
        to=options.to,
        phone=phone,
        speaks_for=voice.duration,
        answer_timeout=options.answer_timeout,
        path_of=path_of,
    )


async def _call(
    options: argparse.Namespace, plan: LoadPlan, target: Target
) -> dict[str, Any] | None:
    settings = CarrierSettings(
        webhook_url=target.webhook_url,
        leg_encoding=options.leg_encoding,
        leg_sample_rate=_LEG_RATE,
    )
    signing_key = read_signing_key()
    port = 0 if options.print_environment else options.port
    if not options.print_environment:
        await target.probe()
    async with open_carrier(
        settings=settings, host=CARRIER_HOST, port=port, signing_key=signing_key
    ) as carrier:
        if options.print_environment:
            for name, value in target.environment(carrier).items():
                print(f"export {name}={shlex.quote(value)}")
            return None
        load = Load(carrier, plan)
        started_at = trio.current_time()
        async with show_progress(load.describe, quiet=options.json):
            interrupted = await _run_until_signal(load)
        summary = summarise(load.results, duration=trio.current_time() - started_at)
        with trio.move_on_after(_WEBHOOK_TIMEOUT):
            await carrier.wait_webhooks_tried()
        await trio.sleep(_LINGER)
        return {"interrupted": interrupted, **summary}


async def _run_until_signal(load: Load) -> bool:
    """Run a load to its end; at a signal end its calls, at a second one drop them.

    Returns:
        Whether a signal came.
    """
    interrupted = False

    async def watch(nursery: trio.Nursery) -> None:
        nonlocal interrupted
        async for _ in signals:
            if interrupted:
                nursery.cancel_scope.cancel()
            interrupted = True
            nursery.start_soon(load.stop)

    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch, nursery)
            await load.run()
            nursery.cancel_scope.cancel()
    return interrupted
