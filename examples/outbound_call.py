"""Call a phone: greet who answers, then repeat what they say until they hang up.

    python examples/outbound_call.py --simulate
    python examples/outbound_call.py --from +15551234567 --to +15557654321 --ngrok-url HOST

The second needs TELNYX_API_KEY, TELNYX_PUBLIC_KEY and TELNYX_CALL_CONTROL_APP_ID, an application
whose webhook URL is https://HOST/telnyx/events. Ctrl-C hangs up.
"""

from __future__ import annotations

import argparse
import logging
import sys

import trio
from _settings import (
    SIMULATED_PARTY,
    cancel_on_signal,
    make_parser,
    open_simulation,
    read_config,
)

from telnyx_trio import (
    Call,
    CallControlError,
    CallEnded,
    CallNotAnswered,
    CallServer,
    MediaTimeout,
    PcmData,
    open_server,
)
from telnyx_trio.testing import CALLER_WAV, GREETING_WAV, Phone


async def agent(call: Call) -> None:
    """Greet, then echo until the other side hangs up."""
    await call.send(PcmData.from_wav(GREETING_WAV))
    async for pcm in call.received:
        await call.send(pcm)


async def call_number(server: CallServer, to: str) -> int:
    """Carry one call; return the exit status."""
    print(f"calling {to}", flush=True)
    try:
        async with server.dial(to=to) as call:
            print("answered", flush=True)
            await agent(call)
    except (CallNotAnswered, MediaTimeout, CallControlError) as error:
        print(error, file=sys.stderr)
        return 1
    except CallEnded:
        pass
    print(f"the call ended: {call.outcome}")
    return 0


async def dial(options: argparse.Namespace) -> int:
    """Call through Telnyx."""
    missing = [] if options.to else ["--to is not given: it is the number to call, in E.164 form"]
    needed = ("phone_number", "connection_id")
    number = options.from_ or options.phone_number
    config = read_config(options, also_missing=missing, needed=needed, phone_number=number)
    async with open_server(config) as server, trio.open_nursery() as nursery:
        nursery.start_soon(cancel_on_signal, nursery.cancel_scope)
        status = await call_number(server, options.to)
        nursery.cancel_scope.cancel()
        return status
    return 130


async def simulate() -> int:
    """Call a simulated phone."""
    async with open_simulation() as (carrier, config), open_server(config) as server:
        carrier.webhook_url = f"{server.url}/telnyx/events"
        carrier.default_phone = Phone(answer_after=1, says=CALLER_WAV, speak_at=3, hang_up_at=10)
        return await call_number(server, SIMULATED_PARTY)


if __name__ == "__main__":
    parser = make_parser(__doc__)
    parser.add_argument("--to", help="number to call, in E.164 form")
    parser.add_argument("--from", dest="from_", help="your number (TELNYX_PHONE_NUMBER)")
    parser.add_argument("--phone-number", help="the same as --from")
    parser.add_argument("--phone-number-id", help="its id at Telnyx; not needed to call out")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    sys.exit(trio.run(simulate) if arguments.simulate else trio.run(dial, arguments))
