"""Call a number, play a WAV file, hang up when it has been heard. Ctrl-C at any time hangs up.

python examples/script_call.py --simulate
python examples/script_call.py --to +15557654321 --ngrok-url abc.ngrok-free.app [--wav FILE]
"""

import argparse
from contextlib import suppress

from _settings import SIMULATED_PARTY, cancelled_by_signals, make_parser, open_place, run

from telnyx_trio import CallEnded, open_server
from telnyx_trio.testing import GREETING_WAV


async def play(options: argparse.Namespace) -> int:
    """Dial, play, wait until it has been heard; leaving the blocks hangs up and closes all."""
    missing = [] if options.to else ["--to is not given: it is the number to call"]
    async with (
        cancelled_by_signals(),
        open_place(options, needed=["phone_number", "connection_id"], missing=missing) as place,
        open_server(place.config) as server,
    ):
        if place.carrier is not None:
            place.carrier.webhook_url = f"{server.url}/telnyx/events"
        async with server.dial(to=options.to or SIMULATED_PARTY) as call:
            print("answered", flush=True)
            with suppress(CallEnded):
                handle = await call.play(options.wav)
                await handle.done()
                print("heard to the end")
                return 0
        print(f"not heard to the end: {call.outcome}")
        return 1
    return 130


if __name__ == "__main__":
    parser = make_parser(__doc__ or "")
    parser.add_argument("--to", help="number to call, in E.164 form")
    parser.add_argument("--wav", default=str(GREETING_WAV), help="what to play (%(default)s)")
    run(play, parser.parse_args())
