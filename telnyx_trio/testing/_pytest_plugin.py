"""The pytest plugin: fixtures to test your own agents and servers with, without a network.

Installed with the extra ``[pytest]``, it is there without further ado, for async tests that
pytest-trio runs; without pytest-trio it offers nothing. To test an agent::

    async def test_agent_answers(fake_call, nursery, autojump_clock):
        nursery.start_soon(agent, fake_call.call)
        fake_call.say(PcmData.from_wav("question.wav"))
        fake_call.press("5")
        answer = await fake_call.hear(3.0)
        assert answer.samples.any()
        await fake_call.hang_up()

``fake_call`` needs no socket, so ``autojump_clock`` makes a call of minutes a test of milliseconds.
To test a server of yours, ``carrier`` is a Telnyx on loopback sockets, as servers are run on
sockets. It needs real time: a clock that jumps would overtake what is on the wire.

Every pytest run of an environment imports this module. That is why, unlike elsewhere, the library
is imported inside functions: a run that uses no fixture of ours does not pay for it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

try:
    from pytest_trio import trio_fixture  # type: ignore[import-untyped]  # it has no annotations
except ImportError:
    trio_fixture = None

if TYPE_CHECKING:
    from ._carrier import Carrier
    from ._fake_call import FakeCall

if trio_fixture is not None:

    @trio_fixture  # type: ignore[untyped-decorator]
    async def carrier() -> AsyncIterator[Carrier]:
        """A simulated carrier on loopback sockets; set its ``webhook_url`` to your server's."""
        from ._carrier import open_carrier

        async with open_carrier() as carrier:
            yield carrier

    @trio_fixture  # type: ignore[untyped-decorator]
    async def fake_call() -> AsyncIterator[FakeCall]:
        """A live call in memory, the far end of which the test plays; see ``FakeCall``."""
        from ._fake_call import open_fake_call

        async with open_fake_call() as fake_call:
            yield fake_call
