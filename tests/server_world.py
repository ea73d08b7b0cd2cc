"""A carrier and a call server that know each other, in memory or over loopback sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import trio

from telnyx_trio import Call, CallServer, MediaRequest, PcmData, ServerConfig, open_server
from telnyx_trio.servers import Handler, Prepare, Screen
from telnyx_trio.testing import (
    Carrier,
    CarrierSettings,
    Leg,
    MemoryTransport,
    MemoryWebSocket,
    RestRequest,
    open_carrier,
)

Headers: TypeAlias = list[tuple[bytes, bytes]]

CALLEE = "+15550000001"
OUR_NUMBER = "+15550000009"


@dataclass
class World:
    """What a test has in hand."""

    carrier: Carrier
    server: CallServer
    sockets: list[MemoryWebSocket] = field(default_factory=list)

    async def call_in(self, **phone: Any) -> Leg:
        """Let somebody call the server."""
        return await self.carrier.call_in(to=OUR_NUMBER, **phone)

    def requests(self, action: str) -> list[RestRequest]:
        """List the REST requests of one kind: "calls" or the name of an action."""
        return [r for r in self.carrier.requests if r.path.endswith(f"/{action}")]

    async def wait_idle(self) -> None:
        """Wait until no call is left at either side."""
        # A leg that nobody hangs up would end after four hours by itself.
        with trio.fail_after(60):
            for leg in self.carrier.legs:
                await leg.wait_ended()
            while self.server.statistics().live_calls:  # noqa: ASYNC110 - seen from outside
                await trio.sleep(0.01)

    def assert_clean(self) -> None:
        """Nothing of any call is left."""
        assert len(self.server.registry) == 0
        assert self.server.statistics().live_calls == 0
        assert self.carrier.live_legs() == []
        assert not any(leg.has_stream for leg in self.carrier.legs)


class Doors:
    """Where the carrier knocks; nobody opens while there is no server."""

    def __init__(self) -> None:
        self.world: World | None = None

    async def handle_webhook(self, headers: Headers, body: bytes) -> int:
        if self.world is None:
            await trio.lowlevel.checkpoint()
            return 503
        return await self.world.server.handle_webhook(headers, body)

    async def handle_media(self, websocket: MemoryWebSocket, path: str, headers: Headers) -> None:
        if self.world is None:
            await trio.lowlevel.checkpoint()
            return
        self.world.sockets.append(websocket)
        await self.world.server.handle_media(websocket, MediaRequest(path, tuple(headers)))


def config_for(carrier: Carrier, **settings: Any) -> ServerConfig:
    """Make a config for this carrier."""
    return ServerConfig(
        **{
            "api_key": carrier.api_key,
            "public_key": carrier.public_key,
            "base_url": carrier.base_url,
            "connection_id": carrier.connection_id,
            "phone_number": OUR_NUMBER,
            "port": 0,
            **settings,
        }
    )


@asynccontextmanager
async def open_world(
    handler: Handler | None = None,
    *,
    screen: Screen | None = None,
    prepare: Prepare | None = None,
    carrier_settings: CarrierSettings | None = None,
    sockets: bool = False,
    **settings: Any,
) -> AsyncIterator[World]:
    """Open both; ``settings`` are the server's. The server ends before the carrier."""
    doors = Doors()
    memory = MemoryTransport(doors.handle_webhook, doors.handle_media)
    async with open_carrier(
        transport=None if sockets else memory, settings=carrier_settings, seed=1
    ) as carrier:
        if not sockets:
            settings.setdefault("public_url", "https://server.invalid")
        async with open_server(
            config_for(carrier, **settings),
            handler,
            screen=screen,
            prepare=prepare,
            listen=sockets,
            transport=None if sockets else carrier.http_transport(),
        ) as server:
            doors.world = World(carrier, server)
            if sockets:
                carrier.webhook_url = f"{server.url}/telnyx/events"
            yield doors.world


def silence(seconds: float) -> PcmData:
    """Make silence to send."""
    return PcmData(
        sample_rate=8000, format="s16", samples=np.zeros(round(seconds * 8000), np.int16)
    )


async def listen_to_end(call: Call) -> None:
    """A handler that hears the far party out."""
    async for _ in call.received:
        pass
