"""``telnyx-trio serve``: answer calls with a handler of the user's."""

from __future__ import annotations

import argparse
import logging
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext, suppress

import trio

from .. import Call, CallServer, ServerConfig, open_server
from ..testing import CALLER_WAV, Carrier, Phone, open_carrier
from ._connection import add_connection_flags, open_connection, shown_by_calls
from ._exit_status import INTERRUPTED
from ._handler import Handler, load_handler
from ._settings import Settings, read_settings
from ._settings_table import SERVER_SETTINGS, add_settings
from ._signals import cancelled_by_signals, run_until_signal, serve_until_signal

_DESCRIPTION = """\
Answer phone calls with a handler of yours, an async function that takes the call. The first Ctrl-C
lets running calls end, the second hangs up on them.
"""

_EPILOG = """\
examples:
  telnyx-trio serve agent:agent --simulate
      one simulated call for `async def agent(call)` in agent.py; no account, no network
  telnyx-trio serve agent:agent --setup-telnyx --phone-number +15551234567
      real calls; needs TELNYX_API_KEY, TELNYX_PUBLIC_KEY, and a tunnel: ngrok http 8000
  telnyx-trio serve agent:agent --public-url https://voice.example.com
      with a Call Control application of yours (TELNYX_CALL_CONTROL_APP_ID)

`telnyx-trio calls` shows its calls from another terminal.
"""

SIMULATED_NUMBER = "+15550001111"
SIMULATED_PARTY = "+15550002222"


def fill_serve_parser(parser: argparse.ArgumentParser) -> None:
    """Make this command's parser of an empty one."""
    parser.description, parser.epilog = _DESCRIPTION, _EPILOG
    parser.add_argument("handler", metavar="MODULE:HANDLER", help="such as agent:agent")
    parser.add_argument("--simulate", action="store_true", help="one call of a simulated carrier")
    parser.add_argument(
        "--skip-checks",
        action="store_true",
        help="do not look at the account first; for a carrier that is not there yet",
    )
    add_connection_flags(parser)
    extra = ("phone_number_id", "outbound_voice_profile", "log_level")
    add_settings(parser, (*SERVER_SETTINGS, *extra))
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    settings = read_settings(options)
    handler = load_handler(options.handler)
    start_log(settings)
    return trio.run(_serve, handler, settings, options)


def start_log(settings: Settings) -> None:
    """Have the library's log on stderr."""
    level = str(settings["log_level"] or "info").upper()
    logging.basicConfig(level=level, format="%(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)


async def _serve(handler: Handler, settings: Settings, options: argparse.Namespace) -> int:
    failed: list[Call] = []

    async def tell_and_handle(call: Call) -> None:
        began_at = trio.current_time()
        print(f"call from {call.info.from_number} to {call.info.to_number}", flush=True)
        ended = "the handler failed"
        try:
            await handler(call)
            ended = "the handler is done"
        except Exception:
            failed.append(call)
            raise
        finally:
            if trio.current_effective_deadline() == -math.inf:
                ended = "hung up on"
            duration = trio.current_time() - began_at
            print(
                f"call from {call.info.from_number}:"
                f" {call.outcome or f'{ended} after {duration:.1f} s'}",
                flush=True,
            )

    async with cancelled_by_signals():
        if options.simulate:
            return await _simulate(tell_and_handle, settings) or int(bool(failed))
        needed = [] if options.skip_checks or settings.phone_number_id else ["phone_number"]
        if not options.setup_telnyx and not options.skip_checks:
            needed.append("connection_id")
        config = await settings.server_config(needed=needed)
        async with (
            open_server(config, tell_and_handle) as server,
            shown_by_calls(server),
            nullcontext()
            if options.skip_checks
            else open_connection(server, settings, options, "inbound"),
        ):
            number = config.phone_number or settings.phone_number_id or "your number"
            print(f"listening at {server.url}; now call {number}", flush=True)
            await serve_until_signal(server, _tell)
        return 0
    return INTERRUPTED


def _tell(text: str) -> None:
    with suppress(OSError):  # the terminal may be gone
        print(text, flush=True)


async def _simulate(handler: Handler, settings: Settings) -> int:
    caller = Phone(says=CALLER_WAV, speak_at=3, hang_up_at=10)
    async with (
        open_simulation(settings) as (carrier, config),
        open_server(config, handler) as server,
        shown_by_calls(server),
    ):
        lead_to(carrier, server)
        leg = await carrier.call_in(to=SIMULATED_NUMBER, from_=SIMULATED_PARTY, phone=caller)
        is_interrupted = await run_until_signal(leg.wait_ended) is None
        await server.stop(drain_timeout=0 if is_interrupted else None)
        hangup = await leg.wait_ended()
        print(f"the call ended: {hangup.cause} by {hangup.source}", flush=True)
    return INTERRUPTED if is_interrupted else 0


@asynccontextmanager
async def open_simulation(settings: Settings) -> AsyncIterator[tuple[Carrier, ServerConfig]]:
    """Run a simulated carrier; give it and the settings that lead to it.

    Raises:
        ConfigurationError: a setting is wrong.
    """
    async with open_carrier() as carrier:
        carrier.account.add_number(SIMULATED_NUMBER, connection_id=carrier.connection_id)
        yield (
            carrier,
            settings.simulated_config(
                api_key=carrier.api_key,
                public_key=carrier.public_key,
                base_url=carrier.base_url,
                connection_id=carrier.connection_id,
                phone_number=SIMULATED_NUMBER,
            ),
        )


def lead_to(carrier: Carrier, server: CallServer) -> None:
    """Have the carrier's webhooks come to this server."""
    carrier.webhook_url = f"{server.url}/telnyx/events"
