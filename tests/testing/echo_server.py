"""A handwritten server that shares nothing with the library: it answers, and echoes each packet."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Literal, TypeAlias
from urllib.parse import quote

import httpx
import hypercorn.trio
import trio
import trio_websocket
from hypercorn.config import Config

from telnyx_trio._websocket import TrioWebSocket, WebSocket
from telnyx_trio.testing import (
    Carrier,
    CarrierSettings,
    MemoryTransport,
    open_carrier,
)

Headers: TypeAlias = list[tuple[bytes, bytes]]
Kind: TypeAlias = Literal["memory", "sockets"]

RTP = {"stream_bidirectional_mode": "rtp"}


def media(payload: str) -> str:
    """A packet, as a server sends it."""
    return json.dumps({"event": "media", "media": {"payload": payload}})


class EchoServer:
    """Answers inbound calls with the stream fields in ``answer_fields`` and echoes their packets.

    ``on_message`` sees each media message and returns texts to send instead of the echo.
    """

    def __init__(self) -> None:
        self.stream_url = "ws://server.invalid/media?token=t"
        self.answer_fields: dict[str, Any] | None = dict(RTP)
        self.webhook_status = 200
        self.webhook_delay = 0.0
        self.webhooks: list[tuple[Headers, bytes]] = []
        self.messages: list[dict[str, Any]] = []
        self.media_path = ""
        self.media_headers: Headers = []
        self.media_end = ""
        self.rejects_media = False
        self.leaves_after: int | None = None  # messages
        self.on_message: Callable[[dict[str, Any]], list[str]] = self.echo
        self._client: httpx.AsyncClient | None = None
        self._nursery: trio.Nursery | None = None
        self._news = trio.Event()

    def connect(self, client: httpx.AsyncClient, nursery: trio.Nursery) -> None:
        self._client, self._nursery = client, nursery

    def disconnect(self, nursery: trio.Nursery) -> None:
        self._nursery = None
        nursery.cancel_scope.cancel()

    @property
    def events(self) -> list[tuple[str, dict[str, Any]]]:
        """Type and payload of each webhook, in order of arrival."""
        bodies = [json.loads(body)["data"] for _, body in self.webhooks]
        return [(data["event_type"], data["payload"]) for data in bodies]

    @property
    def event_types(self) -> list[str]:
        return [event_type for event_type, _ in self.events]

    async def wait_for_event(self, event_type: str) -> dict[str, Any]:
        return (await self.wait_for_events(event_type, 1))[0]

    async def wait_for_events(self, event_type: str, n_events: int) -> list[dict[str, Any]]:
        while True:
            payloads = [payload for kind, payload in self.events if kind == event_type]
            if len(payloads) >= n_events:
                return payloads
            await self._news.wait()

    async def wait_for_message(self, event: str) -> dict[str, Any]:
        while True:
            for message in self.messages:
                if message["event"] == event:
                    return message
            await self._news.wait()

    async def wait_for_media_end(self) -> str:
        while not self.media_end:
            await self._news.wait()
        return self.media_end

    async def post(self, path: str, **fields: Any) -> httpx.Response:
        assert self._client is not None
        method = "PUT" if path.endswith("/client_state_update") else "POST"
        return await self._client.request(method, path, json=fields)

    async def act(self, call_control_id: str, action: str, /, **fields: Any) -> httpx.Response:
        return await self.post(
            f"calls/{quote(call_control_id, safe='')}/actions/{action}", **fields
        )

    async def handle_webhook(self, headers: Headers, body: bytes) -> int:
        self.webhooks.append((headers, body))
        self._tell()
        await trio.sleep(self.webhook_delay)
        data = json.loads(body)["data"]
        payload = data["payload"]
        if self.answer_fields is not None and data["event_type"] == "call.initiated":
            if payload["direction"] == "incoming" and self._nursery is not None:
                fields = {"stream_url": self.stream_url, **self.answer_fields}
                answer = partial(self.act, payload["call_control_id"], "answer", **fields)
                self._nursery.start_soon(answer)
        return self.webhook_status

    async def handle_media(self, websocket: WebSocket, path: str, headers: Headers) -> None:
        self.media_path, self.media_headers = path, headers
        if self.rejects_media:
            await websocket.aclose()
            return
        try:
            await websocket.accept()
            while self.leaves_after is None or len(self.messages) < self.leaves_after:
                message = json.loads(await websocket.receive_text())
                self.messages.append(message)
                for text in self.on_message(message):
                    await websocket.send_text(text)
                if message["event"] != "media":
                    self._tell()
            await websocket.aclose()
        except trio.EndOfChannel:
            self.media_end = "closed"
        except trio.BrokenResourceError:
            self.media_end = "lost"
        self._tell()

    @staticmethod
    def echo(message: dict[str, Any]) -> list[str]:
        if message["event"] != "media":
            return []
        return [media(message["media"]["payload"])]

    def _tell(self) -> None:
        self._news.set()
        self._news = trio.Event()


@asynccontextmanager
async def open_pair(
    kind: Kind = "memory", settings: CarrierSettings | None = None
) -> AsyncIterator[tuple[Carrier, EchoServer]]:
    """Open a carrier and an echo server that know each other."""
    server = EchoServer()
    if kind == "memory":
        memory = MemoryTransport(server.handle_webhook, server.handle_media)
        async with open_carrier(transport=memory, settings=settings, seed=1) as carrier:
            async with _open_client(carrier, carrier.http_transport()) as client:
                async with trio.open_nursery() as nursery:
                    server.connect(client, nursery)
                    yield carrier, server
                    server.disconnect(nursery)
        return
    async with open_carrier(settings=settings, seed=1) as carrier, _open_client(carrier) as client:
        async with trio.open_nursery() as nursery:
            server.connect(client, nursery)
            media = await nursery.start(_serve_media, server)
            server.stream_url = f"ws://127.0.0.1:{media}/media?token=t"
            webhooks = await nursery.start(_serve_webhooks, server)
            carrier.webhook_url = f"{webhooks}/telnyx/events"
            yield carrier, server
            server.disconnect(nursery)


def _open_client(
    carrier: Carrier, transport: httpx.AsyncBaseTransport | None = None
) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {carrier.api_key}"}
    return httpx.AsyncClient(base_url=carrier.base_url, headers=headers, transport=transport)


async def _serve_media(server: EchoServer, *, task_status: trio.TaskStatus[int]) -> None:
    async def handle(request: trio_websocket.WebSocketRequest) -> None:
        websocket = TrioWebSocket(request)
        await server.handle_media(websocket, request.path, websocket.headers)

    async with trio.open_nursery() as nursery:
        listening = await nursery.start(
            partial(trio_websocket.serve_websocket, handle, "127.0.0.1", 0, None)
        )
        task_status.started(listening.port)


async def _serve_webhooks(server: EchoServer, *, task_status: trio.TaskStatus[str]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        body = b""
        more = True
        while more:
            event = await receive()
            body += event.get("body", b"")
            more = event.get("more_body", False)
        status = await server.handle_webhook(list(scope["headers"]), body)
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    config = Config()
    config.bind = ["127.0.0.1:0"]
    config.errorlog = None
    async with trio.open_nursery() as nursery:
        binds = await nursery.start(hypercorn.trio.serve, app, config)
        task_status.started(binds[0])
