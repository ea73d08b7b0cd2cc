"""hypercorn's Trio worker, bare ASGI: an echo in one task a call; G.711 by numpy tables."""

import base64
import json
import os
import sys

import g711_tables
import trio
from hypercorn.config import Config
from hypercorn.trio import serve


async def app(scope, receive, send) -> None:  # noqa: ANN001
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        data = json.loads(message["text"])
        if data["event"] != "media":
            continue
        pcm = g711_tables.decode(base64.b64decode(data["media"]["payload"]))
        payload = base64.b64encode(g711_tables.encode(pcm)).decode()
        text = json.dumps({"event": "media", "media": {"payload": payload}})
        await send({"type": "websocket.send", "text": text})


async def main(port: int) -> None:
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.errorlog = None
    async with trio.open_nursery() as nursery:
        await nursery.start(serve, app, config)
        print(f"ready {os.getpid()} ws://127.0.0.1:{port}/media", flush=True)


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]))
