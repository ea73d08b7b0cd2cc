"""A media server that spoils the fifth packet of each call, and from the tenth on loses all."""

from __future__ import annotations

import base64
import json
import os
import sys
from itertools import count

import trio
from trio_websocket import ConnectionClosed, WebSocketRequest, serve_websocket


async def media(request: WebSocketRequest) -> None:
    websocket = await request.accept()
    packets = count(1)
    try:
        while True:
            data = json.loads(await websocket.get_message())
            if data["event"] != "media":
                continue
            n = next(packets)
            payload = bytearray(base64.b64decode(data["media"]["payload"]))
            if n == 5:
                payload[80] ^= 1
            if n == 10:
                break
            text = base64.b64encode(payload).decode()
            await websocket.send_message(json.dumps({"event": "media", "media": {"payload": text}}))
        while True:
            await websocket.get_message()
    except ConnectionClosed:
        pass


async def main(port: int) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_websocket, media, "127.0.0.1", port, None)
        print(f"ready {os.getpid()} ws://127.0.0.1:{port}/media", flush=True)


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]))
