"""trio-websocket, bare: receive loop, channel, agent, channel, send loop; G.711 by numpy tables."""

import base64
import json
import math
import os
import sys

import g711_tables
import trio
from trio_websocket import ConnectionClosed, WebSocketRequest, serve_websocket


async def media(request: WebSocketRequest) -> None:
    websocket = await request.accept()
    send_heard, heard = trio.open_memory_channel(math.inf)
    send_said, said = trio.open_memory_channel(math.inf)

    async def agent() -> None:
        async for pcm in heard:
            await send_said.send(pcm)

    async def send_loop() -> None:
        async for pcm in said:
            payload = base64.b64encode(g711_tables.encode(pcm)).decode()
            text = json.dumps({"event": "media", "media": {"payload": payload}})
            await websocket.send_message(text)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(agent)
        nursery.start_soon(send_loop)
        try:
            while True:
                data = json.loads(await websocket.get_message())
                if data["event"] == "media":
                    payload = base64.b64decode(data["media"]["payload"])
                    await send_heard.send(g711_tables.decode(payload))
        except* ConnectionClosed:
            nursery.cancel_scope.cancel()


async def main(port: int) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_websocket, media, "127.0.0.1", port, None)
        print(f"ready {os.getpid()} ws://127.0.0.1:{port}/media", flush=True)


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]))
