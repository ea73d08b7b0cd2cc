"""telnyx_trio: each media socket's phone is in the Stream call that its path names."""

import os
import sys

import trio
from getstream import AsyncStream
from stream_standin import getstream_led_to
from trio_websocket import WebSocketRequest, WebSocketServer, serve_websocket

from telnyx_trio import MediaStream, attach_phone_to_call


async def media(request: WebSocketRequest) -> None:
    stream = MediaStream(request)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.run)
        client = AsyncStream(base_url=None)
        call = client.video.call("default", request.path.rpartition("/")[2])
        await attach_phone_to_call(call, stream, user_id="phone-user")


async def main() -> None:
    async with trio.open_nursery() as nursery:
        server: WebSocketServer = await nursery.start(
            serve_websocket, media, "127.0.0.1", int(sys.argv[1]), None
        )
        print(f"ready {os.getpid()} ws://127.0.0.1:{server.port}/media", flush=True)


if __name__ == "__main__":
    with getstream_led_to(os.environ["STREAM_BASE_URL"]):
        trio.run(main)
