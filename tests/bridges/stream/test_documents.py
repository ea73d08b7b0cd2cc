"""docs/stream.md, run: each block's ``agent`` has a call, in the stand-in for Stream."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trio
from numpy.typing import NDArray
from scenarios import open_socket_world
from stream_bridge_world import guest_in, wait_until
from stream_standin import API_KEY, API_SECRET, Standin
from stream_world import loudness, tone

from telnyx_trio.testing import Leg, Phone

DOCUMENT = Path(__file__).parents[3] / "docs" / "stream.md"
BLOCKS = re.findall(
    r"<!-- runs: with getstream -->\n```python\n(.*?)^```$", DOCUMENT.read_text(), re.M | re.S
)


def load(code: str, standin: Standin, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run a block in an environment that leads to the stand-in, and return its names."""
    monkeypatch.setenv("STREAM_API_KEY", API_KEY)
    monkeypatch.setenv("STREAM_API_SECRET", API_SECRET)
    monkeypatch.setenv("STREAM_BASE_URL", standin.url)
    names: dict[str, Any] = {"__name__": "document"}
    exec(compile(code, str(DOCUMENT), "exec"), names)
    return names


async def hear(leg: Leg) -> NDArray[np.int16]:
    """Return what the phone hears in the next half second."""
    (_, before), rate = leg.recording()
    await trio.sleep(0.5)
    (_, heard), _ = leg.recording()
    assert rate == 8000
    news: NDArray[np.int16] = heard[len(before) :]
    return news


def test_there_are_two_blocks() -> None:
    """The tests below run all of them."""
    assert len(BLOCKS) == 2


async def test_a_bridge(standin: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first block joins, tells who comes and goes, and who ended it."""
    names = load(BLOCKS[0], standin, monkeypatch)
    printed: list[str] = []
    has_left = trio.Event()

    def note(*words: str) -> None:
        printed.append(" ".join(words))
        if printed[-1] == "ann left":
            has_left.set()

    names["print"] = note
    async with open_socket_world(names["agent"]) as world:
        with trio.fail_after(30):
            leg = await world.carrier.call_in(to="+15550100000", phone=Phone())
            await wait_until(standin, lambda: "phone-user" in standin.publishers("default:support"))
            async with guest_in(standin, "support", "ann"):
                pass
            await has_left.wait()
            await leg.hang_up()
        await world.assert_nothing_left(inbound=1)
    assert printed == ["ann joined", "ann left", "ended by phone"]


async def test_an_asyncio_agent(standin: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second block's asyncio agent says on the phone what it hears from there."""
    names = load(BLOCKS[1], standin, monkeypatch)
    said = tone(440, rate=8000, seconds=30), 8000
    async with open_socket_world(names["agent"]) as world:
        with trio.fail_after(30):
            leg = await world.carrier.call_in(to="+15550100000", phone=Phone(says=said))
            await wait_until(standin, lambda: len(standin.publishers("default:meeting")) == 2)
            while loudness(await hear(leg), 440, rate=8000) < 2000:
                pass
            await leg.hang_up()
        await world.assert_nothing_left(inbound=1)
    await wait_until(standin, lambda: standin.participants("default:meeting") == [])
