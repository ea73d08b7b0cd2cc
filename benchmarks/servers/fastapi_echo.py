"""FastAPI, uvicorn and uvloop, bare: G.711 by numpy tables, and an echo in one task a call."""

import base64
import json
import os
import sys

import numpy as np
import uvicorn
from fastapi import FastAPI, WebSocket

app = FastAPI()


def _decode(value: int) -> int:
    value = ~value & 0xFF
    magnitude = (((value & 0x0F) << 3) + 0x84) << ((value & 0x70) >> 4)
    return (0x84 - magnitude) if value & 0x80 else (magnitude - 0x84)


DECODE = np.array([_decode(value) for value in range(256)], np.int16)
ENCODE = np.zeros(65536, np.uint8)
_SORTED = np.argsort(DECODE, kind="stable")
_MIDDLES = (DECODE[_SORTED][1:].astype(int) + DECODE[_SORTED][:-1]) / 2
ENCODE[np.arange(-32768, 32768) & 0xFFFF] = _SORTED[
    np.searchsorted(_MIDDLES, np.arange(-32768, 32768))
]
ENCODE[0] = 0xFF


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
        payload = np.frombuffer(base64.b64decode(data["media"]["payload"]), np.uint8)
        pcm = DECODE[payload]
        back = ENCODE[pcm.view(np.uint16)].tobytes()
        text = base64.b64encode(back).decode()
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
        ws="websockets",
        log_level="critical",
    )
