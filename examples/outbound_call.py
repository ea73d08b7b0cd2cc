"""Call a phone: greet who answers, then repeat what they say until they hang up.

    python examples/outbound_call.py --simulate
    python examples/outbound_call.py --setup-telnyx --from +15551234567 --to +15557654321

The second needs TELNYX_API_KEY and TELNYX_PUBLIC_KEY, and a tunnel: ngrok http 8000. It makes a
Call Control application and deletes it in the end. Without --setup-telnyx it needs one of yours
(TELNYX_CALL_CONTROL_APP_ID), and tells what is not right with it. Ctrl-C hangs up.
"""

from __future__ import annotations

import argparse

from _settings import (
    SIMULATED_PARTY,
    add_account_flags,
    cancelled_by_signals,
    make_parser,
    missing_application,
    open_account,
    open_place,
    run,
)

from telnyx_trio import Call, CallEnded, PcmData, open_server
from telnyx_trio.testing import CALLER_WAV, GREETING_WAV, Phone


async def agent(call: Call) -> None:
    """Greet, then echo until the other side hangs up."""
    await call.send(PcmData.from_wav(GREETING_WAV))
    async for pcm in call.received:
        await call.send(pcm)


async def dial(options: argparse.Namespace) -> int:
    """Carry one call, through Telnyx or a simulated carrier."""
    missing = missing_application(options)
    if not options.to:
        missing.append("--to is not given: it is the number to call, in E.164 form")
    async with (
        cancelled_by_signals(),
        open_place(options, needed=["phone_number"], missing=missing) as place,
        open_server(place.config) as server,
    ):
        to = options.to or SIMULATED_PARTY
        if place.carrier is not None:
            phone = Phone(answer_after=1, says=CALLER_WAV, speak_at=3, hang_up_at=6)
            place.carrier.default_phone = phone
        async with open_account(server, place, options, "outbound", to) as connection_id:
            print(f"calling {to}", flush=True)
            async with server.dial(to=to, connection_id=connection_id) as call:
                print("answered", flush=True)
                try:
                    await agent(call)
                except CallEnded:
                    pass  # the other side hung up while the agent was sending
            print(f"the call ended: {call.outcome}")
        return 0
    return 130


if __name__ == "__main__":
    parser = make_parser(__doc__)
    add_account_flags(parser)
    parser.add_argument("--to", help="number to call, in E.164 form")
    run(dial, parser.parse_args())
