"""A live call in memory, for testing agents: this library at one end, the test at the other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import trio

from .._call import Call
from ..audio import PcmData
from ..servers import CallServer, MediaRequest, ServerConfig, open_server
from ._carrier import open_carrier
from ._legs import Leg
from ._memory_websocket import MemoryWebSocket
from ._transports import MemoryTransport

_FAR_NUMBER: Final = "+15550100001"
_OUR_NUMBER: Final = "+15550100002"
_MEMORY_URL: Final = "http://server.invalid"


class FakeCall:
    """A live call, the far end of which the test plays.

    Between the two ends is the simulated carrier, in memory: it paces, codes and decodes audio, and
    returns marks, as it does for a server on sockets.

    Attributes:
        call: the end that your agent gets. It lives until the test ends, or either side hangs up.
        leg: the far end with all that it can do, and with all that was counted.
    """

    def __init__(self, call: Call, leg: Leg) -> None:
        self.call = call
        self.leg = leg

    def say(self, pcm: PcmData) -> None:
        """Speak to the agent, in real time from now on, or behind what is being said.

        Args:
            pcm: of any rate, mono or stereo (mixed down), "s16" or "f32".
        """
        self.leg.say(pcm.mono_int16(), pcm.sample_rate)

    def press(self, digits: str) -> None:
        """Press keys, each one of 0-9, A-D, * and #."""
        self.leg.press(digits)

    @property
    def heard(self) -> PcmData:
        """All that the far end has heard up to now, silence included; "s16", mono."""
        (_, heard), sample_rate = self.leg.recording()
        return PcmData(sample_rate, samples=heard)

    async def hear(self, duration: float) -> PcmData:
        """Listen for so many seconds and return what was heard in them; "s16", mono."""
        before = self.heard.n_samples
        await trio.sleep(duration)
        heard = self.heard
        return PcmData(heard.sample_rate, samples=heard.samples[before:])

    async def hang_up(self) -> None:
        """Hang up at the far end, and wait until the media socket is closed."""
        await self.leg.hang_up()


class Doors:
    """The doors of a call server in memory, for ``MemoryTransport``; closed without a server.

    Attributes:
        server: what is behind them now.
    """

    def __init__(self) -> None:
        self.server: CallServer | None = None

    async def handle_webhook(self, headers: list[tuple[bytes, bytes]], body: bytes) -> int:
        """Hand a webhook to the server; 503 without one."""
        if self.server is None:
            await trio.lowlevel.checkpoint()
            return 503
        return await self.server.handle_webhook(headers, body)

    async def handle_media(
        self, websocket: MemoryWebSocket, path: str, headers: list[tuple[bytes, bytes]]
    ) -> None:
        """Hand a media socket to the server; without one it is refused."""
        if self.server is None:
            await trio.lowlevel.checkpoint()
        else:
            await self.server.handle_media(websocket, MediaRequest(path, tuple(headers)))


@asynccontextmanager
async def open_fake_call() -> AsyncIterator[FakeCall]:
    """Open a call in memory, answered and with its media under way.

    Leaving hangs up if nobody has.

    Raises:
        Exception: what the block raised, as itself.
    """
    send, receive = trio.open_memory_channel[Call](1)
    test_is_over = trio.Event()

    async def hold(call: Call) -> None:
        await send.send(call)
        await test_is_over.wait()

    doors = Doors()
    transport = MemoryTransport(doors.handle_webhook, doors.handle_media)
    async with open_carrier(transport=transport) as carrier:
        config = ServerConfig(
            api_key=carrier.api_key, public_key=carrier.public_key, public_url=_MEMORY_URL
        )
        async with open_server(
            config, hold, listen=False, transport=carrier.http_transport()
        ) as server:
            doors.server = server
            leg = await carrier.call_in(to=_OUR_NUMBER, from_=_FAR_NUMBER)
            yield FakeCall(await receive.receive(), leg)
            test_is_over.set()
            await server.stop()
        doors.server = None
