"""Answer phone calls: greet, then repeat what the caller says.

    python examples/inbound_call.py --simulate
    python examples/inbound_call.py --phone-number +15551234567 --ngrok-url abc.ngrok-free.app

The second needs TELNYX_API_KEY and TELNYX_PUBLIC_KEY, and a Call Control application whose webhook
URL is https://abc.ngrok-free.app/telnyx/events, with the number routed to it. Ctrl-C stops it once
the running calls are over.
"""

from __future__ import annotations

import argparse

import trio
from _settings import (
    SIMULATED_NUMBER,
    SIMULATED_PARTY,
    cancelled_by_signals,
    make_parser,
    open_simulation,
    read_config,
    run,
    stop_at_signal,
)

from telnyx_trio import Call, PcmData, serve_calls
from telnyx_trio.testing import CALLER_WAV, GREETING_WAV, Phone


async def agent(call: Call) -> None:
    """Greet, then echo; returning hangs up."""
    print(f"call from {call.info.from_number}", flush=True)
    await call.send(PcmData.from_wav(GREETING_WAV))
    async for pcm in call.received:
        await call.send(pcm)


async def serve(options: argparse.Namespace) -> int:
    """Answer calls that Telnyx sends, until Ctrl-C."""
    config = read_config(options)
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve_calls, agent, config)
        nursery.start_soon(stop_at_signal, server, nursery.cancel_scope)
        number = config.phone_number or options.phone_number_id or "your number"
        print(f"listening at {server.url}; now call {number}", flush=True)
    return 0


async def simulate() -> int:
    """Answer one call of a simulated caller."""
    async with (
        cancelled_by_signals(),
        open_simulation() as (carrier, config),
        trio.open_nursery() as nursery,
    ):
        server = await nursery.start(serve_calls, agent, config)
        carrier.webhook_url = f"{server.url}/telnyx/events"
        caller = Phone(says=CALLER_WAV, speak_at=3, hang_up_at=10)
        leg = await carrier.call_in(to=SIMULATED_NUMBER, from_=SIMULATED_PARTY, phone=caller)
        hangup = await leg.wait_ended()
        print(f"the call ended: {hangup.cause} by {hangup.source}")
        await server.stop()
        nursery.cancel_scope.cancel()
        return 0
    return 130


if __name__ == "__main__":
    arguments = make_parser(__doc__).parse_args()
    if arguments.simulate:
        run(simulate)
    run(serve, arguments)
