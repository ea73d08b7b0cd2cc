"""Call a phone: greet who answers, then repeat what they say until they hang up.

    python examples/outbound_call.py --simulate
    python examples/outbound_call.py --from +15551234567 --to +15557654321 --ngrok-url HOST

The second needs TELNYX_API_KEY, TELNYX_PUBLIC_KEY and TELNYX_CALL_CONTROL_APP_ID, an application
whose webhook URL is https://HOST/telnyx/events. Ctrl-C hangs up.
"""

from __future__ import annotations

import argparse

from _settings import (
    SIMULATED_PARTY,
    cancelled_by_signals,
    make_parser,
    open_simulation,
    read_config,
    run,
)

from telnyx_trio import Call, CallEnded, CallServer, PcmData, open_server
from telnyx_trio.testing import CALLER_WAV, GREETING_WAV, Phone


async def agent(call: Call) -> None:
    """Greet, then echo until the other side hangs up."""
    await call.send(PcmData.from_wav(GREETING_WAV))
    async for pcm in call.received:
        await call.send(pcm)


async def call_number(server: CallServer, to: str) -> None:
    """Carry one call."""
    print(f"calling {to}", flush=True)
    async with server.dial(to=to) as call:
        print("answered", flush=True)
        try:
            await agent(call)
        except CallEnded:
            pass  # the other side hung up while the agent was sending
    print(f"the call ended: {call.outcome}")


async def dial(options: argparse.Namespace) -> int:
    """Call through Telnyx."""
    missing = [] if options.to else ["--to is not given: it is the number to call, in E.164 form"]
    needed = ("phone_number", "connection_id")
    config = read_config(options, also_missing=missing, needed=needed)
    async with cancelled_by_signals(), open_server(config) as server:
        await call_number(server, options.to)
        return 0
    return 130


async def simulate() -> int:
    """Call a simulated phone."""
    async with (
        cancelled_by_signals(),
        open_simulation() as (carrier, config),
        open_server(config) as server,
    ):
        carrier.webhook_url = f"{server.url}/telnyx/events"
        carrier.default_phone = Phone(answer_after=1, says=CALLER_WAV, speak_at=3, hang_up_at=10)
        await call_number(server, SIMULATED_PARTY)
        return 0
    return 130


if __name__ == "__main__":
    parser = make_parser(__doc__)
    parser.add_argument("--to", help="number to call, in E.164 form")
    arguments = parser.parse_args()
    if arguments.simulate:
        run(simulate)
    run(dial, arguments)
