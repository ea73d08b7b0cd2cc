"""telnyx_trio: ``serve_calls`` with an echo handler, which dials so many calls at each SIGUSR1."""

import os
import signal
import sys

import trio

from telnyx_trio import Call, CallServer, ServerConfig, serve_calls


async def agent(call: Call) -> None:
    async for pcm in call.received:
        await call.send(pcm)


async def main(port: int, rest_port: int, public_key: str, n: int) -> None:
    config = ServerConfig(
        api_key="KEY-benchmark",
        public_key=public_key,
        base_url=f"http://127.0.0.1:{rest_port}/v2",
        port=port,
        public_url=f"http://127.0.0.1:{port}",
        connection_id="1",
        phone_number="+15550000002",
        max_calls=2000,
    )
    async with trio.open_nursery() as nursery:
        server: CallServer = await nursery.start(serve_calls, agent, config)
        with trio.open_signal_receiver(signal.SIGUSR1) as signals:
            print(f"ready {os.getpid()} {server.url}", flush=True)
            async for _ in signals:
                for _ in range(n):
                    async with server.dial(to="+15550000001"):
                        pass


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
