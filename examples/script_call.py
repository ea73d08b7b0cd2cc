"""Call a number, play a WAV file, hang up when it has been heard. Ctrl-C at any time hangs up.

python examples/script_call.py --simulate
python examples/script_call.py --to +15557654321 --ngrok-url abc.ngrok-free.app [--wav FILE]
"""

import trio
from _settings import SIMULATED_PARTY, cancel_on_signal, make_parser, open_simulation, read_config

from telnyx_trio import MarkReturned, PcmData, ServerConfig, open_server
from telnyx_trio.testing import GREETING_WAV, Carrier


async def play(config: ServerConfig, to: str, wav: str, carrier: Carrier | None = None) -> None:
    """Dial, play, wait until it has been heard; leaving the blocks hangs up and closes all."""
    async with trio.open_nursery() as nursery, open_server(config) as server:
        nursery.start_soon(cancel_on_signal, nursery.cancel_scope)
        if carrier is not None:
            carrier.webhook_url = f"{server.url}/telnyx/events"
        async with server.dial(to=to) as call:
            print("answered", flush=True)
            await call.send(PcmData.from_wav(wav))
            await call.send_mark("end")
            async for event in call.events:
                if event == MarkReturned("end"):
                    print("heard to the end")
                    break
        nursery.cancel_scope.cancel()


async def simulate(wav: str) -> None:
    """Do the same with a simulated carrier."""
    async with open_simulation() as (carrier, config):
        await play(config, SIMULATED_PARTY, wav, carrier)


if __name__ == "__main__":
    parser = make_parser(__doc__ or "")
    parser.add_argument("--to", default=SIMULATED_PARTY, help="number to call")
    parser.add_argument("--wav", default=str(GREETING_WAV), help="what to play (%(default)s)")
    arguments = parser.parse_args()
    if arguments.simulate:
        trio.run(simulate, arguments.wav)
    else:
        needed = ("phone_number", "connection_id")
        trio.run(play, read_config(arguments, needed=needed), arguments.to, arguments.wav)
