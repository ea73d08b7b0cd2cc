"""Media sockets of many calls are read by one task: what goes wrong with one call stays with it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import trio
from numpy.typing import NDArray
from scenarios import open_socket_world

from telnyx_trio import Call, SpeechEdge
from telnyx_trio.testing import Phone


@pytest.mark.parametrize("ingest", ["adaptive", "immediate"])
async def test_error_of_one_call_is_its_own(ingest: str, caplog: pytest.LogCaptureFixture) -> None:
    """A detector that raises ends its own call, as an error of that call; the other is heard on."""
    detectors: list[Detector] = []

    class Detector:
        """Hears nothing; the second one fails at its third packet."""

        def __init__(self, sample_rate: int) -> None:
            detectors.append(self)
            self.n_packets = 0

        def process(self, samples: NDArray[np.int16]) -> Sequence[SpeechEdge]:
            self.n_packets += 1
            if self is not detectors[0] and self.n_packets == 3:
                raise ZeroDivisionError("the detector is out of order")
            return []

    async def agent(call: Call) -> None:
        async for _ in call.received:
            heard_send.send_nowait(call.call_control_id)

    heard_send, heard = trio.open_memory_channel[str](10_000)
    options = {"voice_activity": Detector}
    async with open_socket_world(agent, ingest=ingest, call=options) as world:
        with trio.fail_after(20):
            first = await world.carrier.call_in(to="+15550100000", phone=Phone())
            first_id = await heard.receive()
            second = await world.carrier.call_in(to="+15550100000", phone=Phone())
            await second.wait_ended()
            n_before = heard.statistics().current_buffer_used
            for _ in range(n_before):
                await heard.receive()
            assert [await heard.receive() for _ in range(20)] == [first_id] * 20
            await first.hang_up()
            await first.wait_ended()
        await world.server.stop(drain_timeout=5)
        assert world.server.statistics().failed_calls == 1
    [failure] = [record.getMessage() for record in caplog.records if "failed:" in record.message]
    assert "the detector is out of order" in failure
    assert first_id not in failure
