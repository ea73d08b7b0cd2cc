"""Vision Agents' Telnyx plugin behind FastAPI, uvicorn and uvloop: an echo.

Its own track hands audio to aiortc, in real time. Here a queue takes its place, which costs less.
"""

import asyncio
import os
import sys

import uvicorn
from fastapi import FastAPI, WebSocket
from vision_agents.plugins import telnyx

app = FastAPI()


class QueueTrack:
    """Takes audio as the plugin's track does."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue = asyncio.Queue()

    async def write(self, pcm: object) -> None:
        await self.queue.put(pcm)


@app.websocket("/media")
async def media(websocket: WebSocket) -> None:
    stream = telnyx.MediaStream(websocket)
    track = stream.audio_track = QueueTrack()
    await stream.accept()

    async def agent() -> None:
        while True:
            await stream.send_audio(await track.queue.get())

    task = asyncio.create_task(agent())
    try:
        await stream.run()
    finally:
        task.cancel()


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
        ws="auto",
        log_level="critical",
    )
