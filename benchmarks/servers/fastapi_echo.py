"""FastAPI, uvicorn and uvloop, bare: G.711 by numpy tables, and an echo in one task a call."""

import base64
import json
import os
import sys

import g711_tables
import uvicorn
from fastapi import FastAPI, WebSocket

app = FastAPI()


@app.websocket("/media")
async def media(websocket: WebSocket) -> None:
    await websocket.accept()
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return
        data = json.loads(message["text"])
        if data["event"] != "media":
            continue
        pcm = g711_tables.decode(base64.b64decode(data["media"]["payload"]))
        text = base64.b64encode(g711_tables.encode(pcm)).decode()
        await websocket.send_text(json.dumps({"event": "media", "media": {"payload": text}}))


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
