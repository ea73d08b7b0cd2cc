"""Telnyx's webhooks and REST API, as much of them as calls need."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote, urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

KEY = Ed25519PrivateKey.from_private_bytes(b"benchmark-benchmark-benchmark-32")

Dialled = Callable[[str, str], Awaitable[None]]
"""Told of a call that the application has dialled: its id, and where its media go."""


def public_key() -> str:
    """Return the public key of the webhooks' signatures, in base64."""
    raw = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return base64.b64encode(raw).decode()


class Telnyx:
    """The carrier.

    Attributes:
        dialled: takes what the application dials.
        hangups: released when the application has hung up, and the webhook is delivered.
    """

    def __init__(self, webhook_url: str) -> None:
        self.dialled: Dialled | None = None
        self.hangups = asyncio.Semaphore(0)
        self._webhook = urlsplit(webhook_url)
        self._answers: dict[str, asyncio.Future[str]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self, port: int) -> None:
        """Serve the REST API."""
        await asyncio.start_server(self._serve, "127.0.0.1", port, backlog=1000)

    def ring(self, number: int) -> tuple[str, Awaitable[bytes]]:
        """Make a call, and sign its first webhook, which takes no time later."""
        call_id = f"v3:call-{number}-{os.urandom(3).hex()}"
        self._answers[call_id] = asyncio.get_running_loop().create_future()
        return call_id, self.post("call.initiated", call_id, state="parked")

    async def answered(self, call_id: str) -> str:
        """Wait for the answer; return the URL of the media."""
        url = await self._answers[call_id]
        del self._answers[call_id]
        await self.post("call.answered", call_id, state="answered")
        return url

    def post(self, event_type: str, call_id: str, **payload: Any) -> Awaitable[bytes]:
        """Sign a webhook; return what delivers it, over a connection of its own."""
        body = json.dumps(
            {
                "data": {
                    "event_type": event_type,
                    "id": os.urandom(8).hex(),
                    "occurred_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                    "record_type": "event",
                    "payload": {
                        "call_control_id": call_id,
                        "call_leg_id": f"leg-{call_id}",
                        "call_session_id": f"session-{call_id}",
                        "connection_id": "1",
                        "direction": "incoming",
                        "from": "+15550000001",
                        "to": "+15550000002",
                        **payload,
                    },
                }
            }
        ).encode()
        timestamp = str(int(time.time())).encode()
        signature = base64.b64encode(KEY.sign(timestamp + b"|" + body))
        head = (
            b"POST %s HTTP/1.1\r\nhost: %s\r\nconnection: close\r\ncontent-length: %d\r\n"
            b"content-type: application/json\r\ntelnyx-timestamp: %s\r\n"
            b"telnyx-signature-ed25519: %s\r\n\r\n"
            % (
                self._webhook.path.encode(),
                self._webhook.netloc.encode(),
                len(body),
                timestamp,
                signature,
            )
        )
        return self._deliver(head + body)

    async def _deliver(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(self._webhook.hostname, self._webhook.port)
        try:
            writer.write(request)
            reply = await reader.read()
        finally:
            writer.close()
        if reply[9:10] != b"2":
            raise ConnectionError(f"a webhook was refused: {reply[:300]!r}")
        return reply

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                request, *lines = head.split("\r\n")
                headers = {
                    name.lower(): value.strip()
                    for name, _, value in (line.partition(":") for line in lines)
                }
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                reply = json.dumps(self._handle(request.split()[1], json.loads(body or b"{}")))
                writer.write(
                    f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
                    f"content-length: {len(reply)}\r\n\r\n{reply}".encode()
                )
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()

    def _handle(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        call_id, _, action = path.rpartition("/calls/")[2].partition("/actions/")
        call_id = unquote(call_id)
        if action == "answer":
            answer = self._answers.get(call_id)
            if answer is not None and not answer.done():  # a command may come again
                answer.set_result(body["stream_url"])
        elif action == "hangup":
            self._start(self._end(call_id))
        elif path.endswith("/calls"):
            call_id = f"v3:dialled-{os.urandom(6).hex()}"
            self._start(self._pick_up(call_id, body))
            return {
                "data": {
                    "call_control_id": call_id,
                    "call_leg_id": f"leg-{call_id}",
                    "call_session_id": f"session-{call_id}",
                    "is_alive": False,
                    "record_type": "call",
                }
            }
        return {"data": {"result": "ok"}}

    async def _end(self, call_id: str) -> None:
        await self.post("call.hangup", call_id, hangup_cause="normal_clearing")
        self.hangups.release()

    async def _pick_up(self, call_id: str, body: dict[str, Any]) -> None:
        told = {"client_state": body["client_state"], "direction": "outgoing"}
        await self.post("call.initiated", call_id, state="bridging", **told)
        await self.post("call.answered", call_id, state="answered", **told)
        if self.dialled is not None:
            await self.dialled(call_id, body["stream_url"])

    def _start(self, work: Awaitable[Any]) -> None:
        async def run() -> None:
            await work

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
