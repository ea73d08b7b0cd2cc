"""The send side's writing task, with a transport that the test plays."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import trio
import trio.testing
from stream_peer import pcm_of
from trio.testing import MockClock

from telnyx_trio._outbox import Outbox
from telnyx_trio._playout import Playout
from telnyx_trio._sender import Sender
from telnyx_trio._types import TelnyxMediaFormat


class FullTransport:
    """Takes each message at once and has, for a while, the rest of it still to send."""

    def __init__(self) -> None:
        self.has_unsent = False
        self.n_flushes = 0

    def send_nowait(self, _command: object) -> int:
        self.has_unsent = True
        return 1

    async def flush(self) -> None:
        self.n_flushes += 1
        self.has_unsent = False
        await trio.lowlevel.checkpoint()


class Listening:
    """A tap that counts what was written."""

    def __init__(self) -> None:
        self.n_sent = 0

    def take_sent(self, *_: Any) -> None:
        self.n_sent += 1


async def test_another_task_sends_the_rest(autojump_clock: MockClock) -> None:
    """As does who reads, with the answer to a ping: each packet counts as written all the same."""
    outbox, transport, tap = Outbox(TelnyxMediaFormat(), Playout()), FullTransport(), Listening()
    outbox.taps.append(cast("Any", tap))
    sender = Sender(outbox)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sender.run, cast("Any", transport), None)
        await trio.testing.wait_all_tasks_blocked()
        for n in range(1, 4):
            sender.send_nowait(pcm_of(np.zeros(160, np.int16)))
            assert transport.has_unsent
            transport.has_unsent = n == 2
            await trio.testing.wait_all_tasks_blocked()
            assert tap.n_sent == n
        nursery.cancel_scope.cancel()
