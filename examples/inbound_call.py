"""Answer phone calls: greet, then repeat what the caller says.

    python examples/inbound_call.py --simulate
    python examples/inbound_call.py --setup-telnyx --phone-number +15551234567

The second needs TELNYX_API_KEY and TELNYX_PUBLIC_KEY, and a tunnel: ngrok http 8000. It makes a
Call Control application and routes the number to it; when it ends, all is as before. Without
--setup-telnyx you make them yourself, and it tells what is not right. Ctrl-C stops it once the
running calls are over.
"""

from __future__ import annotations

import argparse

from _settings import (
    SIMULATED_NUMBER,
    SIMULATED_PARTY,
    add_account_flags,
    cancelled_by_signals,
    make_parser,
    missing_application,
    open_account,
    open_place,
    run,
    serve_until_signal,
)

from telnyx_trio import Call, PcmData, open_server
from telnyx_trio.testing import CALLER_WAV, GREETING_WAV, Carrier, Phone


async def agent(call: Call) -> None:
    """Greet, then echo; returning hangs up."""
    print(f"call from {call.info.from_number}", flush=True)
    await call.send(PcmData.from_wav(GREETING_WAV))
    async for pcm in call.received:
        await call.send(pcm)


async def call_in(carrier: Carrier) -> None:
    """Be one simulated caller."""
    caller = Phone(says=CALLER_WAV, speak_at=3, hang_up_at=6)
    leg = await carrier.call_in(to=SIMULATED_NUMBER, from_=SIMULATED_PARTY, phone=caller)
    hangup = await leg.wait_ended()
    print(f"the call ended: {hangup.cause} by {hangup.source}")


async def serve(options: argparse.Namespace) -> int:
    """Answer calls, until Ctrl-C or for the one call of a simulation."""
    needed = [] if options.phone_number_id else ["phone_number"]
    async with (
        cancelled_by_signals(),
        open_place(options, needed=needed, missing=missing_application(options)) as place,
        open_server(place.config, agent) as server,
        open_account(server, place, options, "inbound"),
    ):
        number = place.config.phone_number or options.phone_number_id
        news = f"listening at {server.url}; now call {number}"
        if place.carrier is None:
            await serve_until_signal(server, news)
        else:
            print(news, flush=True)
            await call_in(place.carrier)
            await server.stop()
        return 0
    return 130


if __name__ == "__main__":
    parser = make_parser(__doc__)
    add_account_flags(parser)
    run(serve, parser.parse_args())
