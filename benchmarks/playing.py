"""What a played packet costs: microseconds of processor time, calls that do nothing but play.

python -m benchmarks.playing [--calls 100] [--seconds 5]

The calls and their peers are on loopback sockets of this process. The peers read between the
seconds that are measured, so that what is counted is the sending, and Trio's part of it.
"""

import argparse
import json
import os
import socket
import statistics
import time
from contextlib import suppress

import numpy as np
import trio

from benchmarks.load.frames import frame
from telnyx_trio import PcmData, open_call
from telnyx_trio._websocket import IngestMode, IngestPolicy, MediaClock, open_socket_websocket

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


async def play(sock: socket.socket, clock: MediaClock, sound: PcmData, began: trio.Event) -> None:
    async with open_socket_websocket(sock, readiness=clock) as websocket, open_call(websocket) as c:
        playback = await c.play(sound)
        began.set()
        await playback.done()


def connect(address: tuple[str, int], call_id: str) -> socket.socket:
    """Open a media socket and say ``start``."""
    peer = socket.create_connection(address)
    media_format = {"encoding": "PCMU", "sample_rate": 8000, "channels": 1}
    start = {"call_control_id": call_id, "media_format": media_format}
    text = json.dumps({"event": "start", "stream_id": call_id, "start": start})
    peer.sendall(HANDSHAKE + frame(text.encode()))
    peer.setblocking(False)
    return peer


def drain(peers: list[socket.socket]) -> int:
    """Read all that came; return how many packets were in it."""
    n_packets = 0
    for peer in peers:
        with suppress(BlockingIOError):
            n_packets += peer.recv(1 << 20).count(b'"payload":')
    return n_packets


async def measure(mode: IngestMode, calls: int, seconds: int) -> float:
    """Return microseconds a packet, the median of the seconds."""
    sound = PcmData(8000, samples=np.zeros(8000 * (seconds + 10), np.int16))
    clock, peers = MediaClock(IngestPolicy(mode)), []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(clock.run)
            for n in range(calls):
                peers.append(connect(listener.getsockname(), f"call-{n}"))
                sock, _ = listener.accept()
                sock.setblocking(False)
                began = trio.Event()
                nursery.start_soon(play, sock, clock, sound, began)
                await began.wait()
                await trio.sleep(0.003)  # each at a time of its own
            await trio.sleep(1)
            taken = []
            for second in range(seconds):
                drain(peers)
                worked = time.process_time()
                await trio.sleep(1)
                worked = time.process_time() - worked
                n_packets = drain(peers)
                if not n_packets:
                    raise SystemExit("nothing was played: the machine is too slow for so many")
                taken.append(worked * 1e6 / n_packets)
                print(f"{mode}, second {second + 1} of {seconds}: {taken[-1]:.1f} us", flush=True)
            nursery.cancel_scope.cancel()
    for peer in peers:
        peer.close()
    return statistics.median(taken)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=5)
    options = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    modes: tuple[IngestMode, ...] = ("adaptive", "immediate")
    figures = {mode: trio.run(measure, mode, options.calls, options.seconds) for mode in modes}
    for mode, us in figures.items():
        print(f"{options.calls} calls that play, {mode}: {us:.1f} us a packet")


if __name__ == "__main__":
    main()
