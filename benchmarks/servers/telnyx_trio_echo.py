"""telnyx_trio: ``serve_calls`` with an echo handler, as a user would write it."""

import os
import sys

import trio

from telnyx_trio import Call, CallServer, ServerConfig, serve_calls


async def agent(call: Call) -> None:
    async for pcm in call.received:
        await call.send(pcm)


async def main(port: int, rest_port: int, public_key: str) -> None:
    config = ServerConfig(
        api_key="KEY-benchmark",
        public_key=public_key,
        base_url=f"http://127.0.0.1:{rest_port}/v2",
        port=port,
        public_url=f"http://127.0.0.1:{port}",
        max_calls=2000,
        ingest=sys.argv[4] if len(sys.argv) > 4 else "adaptive",  # type: ignore[arg-type]
    )
    async with trio.open_nursery() as nursery:
        server: CallServer = await nursery.start(serve_calls, agent, config)
        print(f"ready {os.getpid()} {server.url}", flush=True)


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
