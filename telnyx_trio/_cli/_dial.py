"""``telnyx-trio dial``: call a number with a handler of the user's."""

from __future__ import annotations

import argparse
import logging
import sys
from functools import partial

import trio

from .. import CallBusy, CallEnded, CallNoAnswer, CallNotAnswered, CallServer, open_server
from ..testing import CALLER_WAV, Phone
from ._connection import add_connection_flags, open_connection, shown_by_calls
from ._exit_status import INTERRUPTED
from ._handler import Handler, load_handler
from ._serve import SIMULATED_PARTY, lead_to, open_simulation, start_log
from ._settings import Settings, read_settings
from ._settings_table import SERVER_SETTINGS, add_settings
from ._signals import cancelled_by_signals, run_until_signal

_DESCRIPTION = """\
Call a number and hand the call to a handler of yours, an async function that takes the call;
returning from it hangs up.
"""

_EPILOG = """\
examples:
  telnyx-trio dial --simulate agent:agent
      a simulated phone answers; no account, no network
  telnyx-trio dial --to +15557654321 --from +15551234567 --setup-telnyx agent:agent
      a real one; needs TELNYX_API_KEY, TELNYX_PUBLIC_KEY, and a tunnel: ngrok http 8000

exit status: 0 answered, and the handler done or the far side gone; 1 an error; 2 settings;
3 busy; 4 no answer; 5 rejected, or not taken otherwise; 130 interrupted
"""

_BUSY, _NO_ANSWER, _NOT_TAKEN = 3, 4, 5

_LONGEST_RINGING = 600.0
"""Seconds that Telnyx rings at most."""


def fill_dial_parser(parser: argparse.ArgumentParser) -> None:
    """Make this command's parser of an empty one."""
    parser.description, parser.epilog = _DESCRIPTION, _EPILOG
    parser.add_argument("handler", metavar="MODULE:HANDLER", help="such as agent:agent")
    parser.add_argument("--to", metavar="NUMBER", help="number to call, in E.164 form")
    parser.add_argument(
        "--answer-timeout", type=_seconds, default=60.0, metavar="SECONDS", help="%(default)s"
    )
    parser.add_argument("--simulate", action="store_true", help="a simulated phone answers")
    add_connection_flags(parser)
    extra = ("phone_number_id", "outbound_voice_profile", "log_level")
    add_settings(parser, (*SERVER_SETTINGS, *extra), aliases={"phone_number": "--from"})
    parser.set_defaults(run=run)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= _LONGEST_RINGING:
        raise argparse.ArgumentTypeError(f"more than 0, and 600 at most, not {text}")
    return seconds


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    settings = read_settings(options)
    handler = load_handler(options.handler)
    start_log(settings)
    return trio.run(_dial, handler, settings, options)


async def _dial(handler: Handler, settings: Settings, options: argparse.Namespace) -> int:
    async with cancelled_by_signals():
        if options.simulate:
            async with (
                open_simulation(settings) as (carrier, config),
                open_server(config) as server,
                shown_by_calls(server),
            ):
                lead_to(carrier, server)
                carrier.default_phone = Phone(
                    answer_after=1, says=CALLER_WAV, speak_at=3, hang_up_at=10
                )
                return await _call(server, handler, options.to or SIMULATED_PARTY, None, options)
        missing = [] if options.to else ["--to is not given: it is the number to call"]
        needed = ["phone_number"] if options.setup_telnyx else ["phone_number", "connection_id"]
        config = await settings.server_config(needed=needed, missing=missing)
        async with (
            open_server(config) as server,
            shown_by_calls(server),
            open_connection(server, settings, options, "outbound", options.to) as connection_id,
        ):
            return await _call(server, handler, options.to, connection_id, options)
    return INTERRUPTED


async def _call(
    server: CallServer,
    handler: Handler,
    to: str,
    connection_id: str | None,
    options: argparse.Namespace,
) -> int:
    """Make the call; a signal ends it, and what is around it only then."""
    call = partial(_call_and_tell, server, handler, to, connection_id, options.answer_timeout)
    status = await run_until_signal(call)
    return INTERRUPTED if status is None else status


async def _call_and_tell(
    server: CallServer,
    handler: Handler,
    to: str,
    connection_id: str | None,
    answer_timeout: float,
) -> int:
    print(f"calling {to}", flush=True)
    began_at, status = trio.current_time(), 0
    try:
        async with server.dial(
            to=to, connection_id=connection_id, answer_timeout=answer_timeout
        ) as call:
            print(f"answered after {trio.current_time() - began_at:.1f} s", flush=True)
            try:
                await handler(call)
            except CallEnded:
                pass  # the far side hung up while the handler was at work
            except Exception:
                logging.getLogger("telnyx_trio").exception("the handler failed")
                status = 1
        print(f"the call ended: {call.outcome}", flush=True)
    except CallNotAnswered as error:
        print(f"telnyx-trio: {error}", file=sys.stderr)
        if isinstance(error, CallBusy):
            return _BUSY
        return _NO_ANSWER if isinstance(error, CallNoAnswer) else _NOT_TAKEN
    return status
