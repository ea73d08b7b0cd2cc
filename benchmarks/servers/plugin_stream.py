"""Vision Agents' Telnyx plugin behind FastAPI, uvicorn and uvloop, as its README has it.

getstream 4 pings public servers each second, and takes a machine without any for offline. Here an
answer stands in for the ping, so that it is measured on any machine.
"""

import os
import sys

import ping3
import uvicorn
from fastapi import FastAPI, WebSocket
from getstream import AsyncStream
from vision_agents.plugins import telnyx

ping3.ping = lambda host, timeout: 0.01
app = FastAPI()


@app.websocket("/media/{call_id}")
async def media(websocket: WebSocket, call_id: str) -> None:
    stream = telnyx.MediaStream(websocket)
    await stream.accept()
    call = AsyncStream(base_url=os.environ["STREAM_BASE_URL"]).video.call("default", call_id)
    await telnyx.attach_phone_to_call(call, stream, "phone-user")
    await stream.run()


@app.on_event("startup")
async def ready() -> None:
    print(f"ready {os.getpid()} ws://127.0.0.1:{sys.argv[1]}/media", flush=True)


if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        ws="websockets",
        log_level="critical",
    )
