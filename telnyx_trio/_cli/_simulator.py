"""``telnyx-trio simulator``: a carrier to develop against."""

from __future__ import annotations

import argparse
import shlex
import signal
from typing import Any

import trio

from ..testing import CALLER_WAV, CarrierSettings, Phone, open_carrier

_DESCRIPTION = """\
Run a simulated carrier: Telnyx's REST API, its signed webhooks and its media sockets, on this
machine. It prints the environment that points a program at it. A number that the program dials is
answered after a second by somebody who says a sentence and listens.
"""

_EPILOG = """\
examples:
  telnyx-trio simulator --port 9000
      a carrier for programs that dial; as with a new account, no number is verified yet:
      telnyx-trio dial agent:agent --to +15550003333 --skip-verified-destination-check \\
          --public-url http://127.0.0.1:8000
  telnyx-trio simulator --webhook-url http://127.0.0.1:8000/telnyx/events --call +15550002222
      also calls +15550002222 once, which a server at port 8000 answers
"""

_NUMBER = "+15550001111"


def fill_simulator_parser(parser: argparse.ArgumentParser) -> None:
    """Make this command's parser of an empty one."""
    parser.description, parser.epilog = _DESCRIPTION, _EPILOG
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (%(default)s)")
    parser.add_argument("--port", type=_port, default=9000, help="port; 0 is any (%(default)s)")
    parser.add_argument("--webhook-url", metavar="URL", help="where its webhooks go")
    parser.add_argument(
        "--call", metavar="NUMBER", help="call this number once, and say a sentence"
    )
    parser.add_argument(
        "--leg-encoding",
        choices=("PCMU", "PCMA", "L16"),
        default="PCMU",
        help="codec of its phone network (%(default)s)",
    )
    parser.add_argument(
        "--byteorder",
        choices=("little", "big"),
        default="little",
        help="order of L16 bytes on its media sockets (%(default)s)",
    )
    parser.add_argument(
        "--rest-latency", type=float, default=0.0, metavar="SECONDS", help="of each REST reply"
    )
    parser.set_defaults(run=run)


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"a port is 0 to 65535, not {port}")
    return port


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    trio.run(_simulate, options)
    return 0


async def _simulate(options: argparse.Namespace) -> None:
    settings = CarrierSettings(
        webhook_url=options.webhook_url,
        leg_encoding=options.leg_encoding,
        byteorder=options.byteorder,
        rest_latency=options.rest_latency,
    )
    speaker = Phone(answer_after=1.0, says=CALLER_WAV, speak_at=1.0, noise=8)
    async with open_carrier(settings=settings, host=options.host, port=options.port) as carrier:
        carrier.default_phone = speaker
        number = carrier.account.add_number(_NUMBER, connection_id=carrier.connection_id)
        environment = {
            "TELNYX_BASE_URL": carrier.base_url,
            "TELNYX_API_KEY": carrier.api_key,
            "TELNYX_PUBLIC_KEY": carrier.public_key,
            "TELNYX_CALL_CONTROL_APP_ID": carrier.connection_id,
            "TELNYX_PHONE_NUMBER": _NUMBER,
            "TELNYX_PHONE_NUMBER_ID": number["id"],
        }
        for name, value in environment.items():
            print(f"export {name}={shlex.quote(value)}")
        print("# simulated carrier is running; Ctrl-C ends it", flush=True)
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async with trio.open_nursery() as nursery:
                if options.call:
                    leg = await carrier.call_in(to=options.call, from_=_NUMBER, phone=speaker)
                    nursery.start_soon(_report, leg)
                async for _ in signals:
                    break
                nursery.cancel_scope.cancel()


async def _report(leg: Any) -> None:
    hangup = await leg.wait_ended()
    print(f"# the call ended: {hangup.cause} by {hangup.source}", flush=True)
