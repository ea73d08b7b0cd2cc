"""What a sent packet costs: microseconds of processor time from the audio to the WebSocket message.

python benchmarks/send_path.py [--seconds 120] [--rate 8000] [--rounds 5]

A stream without a network: its WebSocket throws away what it is given, and the lead is endless, so
that nothing waits for real time. What is left is the library's own work. The least of all rounds
counts, since a busy machine can only add to it.
"""

import argparse
import json
import math
import time
from collections.abc import AsyncIterator

import numpy as np
import trio

from telnyx_trio import MediaStream, PcmData

PACKET_SECONDS = 0.02


class Drain:
    """A WebSocket that says ``start``, returns marks, and throws away audio."""

    def __init__(self) -> None:
        self.n_packets = 0
        send, self._receive = trio.open_memory_channel[str](math.inf)
        self._send = send
        start = {"call_control_id": "v3:abc", "media_format": {"encoding": "PCMU"}}
        send.send_nowait(json.dumps({"event": "start", "start": start}))

    async def accept(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_text(self) -> str:
        return await self._receive.receive()

    async def send_text(self, text: str) -> None:
        if '"media"' in text[:20]:
            self.n_packets += 1
        else:
            self._send.send_nowait(text)
        await trio.lowlevel.checkpoint()

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        await trio.lowlevel.checkpoint()

    async def ping(self) -> None:
        await trio.lowlevel.checkpoint()


async def measure(how: str, seconds: float, rate: int) -> float:
    """Return microseconds a packet."""
    chunk = PcmData(rate, samples=np.zeros(round(rate * PACKET_SECONDS), np.int16))
    n_chunks = round(seconds / PACKET_SECONDS)

    async def chunks() -> AsyncIterator[PcmData]:
        for _ in range(n_chunks):
            yield chunk

    websocket = Drain()
    stream = MediaStream(websocket, lead=math.inf)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.run)
        await stream.wait_started()
        began_at = time.process_time()
        if how == "play":
            await (await stream.play(chunks(), nursery)).done()
        else:
            for _ in range(n_chunks):
                await stream.send_audio(chunk)
            await stream.send_mark("end")
            await stream.events.receive()
        taken = time.process_time() - began_at
        await stream.close()
    assert websocket.n_packets >= n_chunks
    return 1e6 * taken / websocket.n_packets


def main() -> None:
    """Measure each way some times, by turns."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=120, help="of audio (%(default)s)")
    parser.add_argument("--rate", type=int, default=8000, help="of the audio in Hz (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="of each way (%(default)s)")
    parser.add_argument("--ways", nargs="+", default=["send", "play"], help="(send play)")
    options = parser.parse_args()
    least = dict.fromkeys(options.ways, math.inf)
    for _ in range(options.rounds):
        for how in least:
            taken = trio.run(measure, how, options.seconds, options.rate)
            least[how] = min(least[how], taken)
    for how, taken in least.items():
        print(f"{how}: {taken:.1f} us a packet")


if __name__ == "__main__":
    main()
