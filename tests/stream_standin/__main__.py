"""Run a stand-in until killed; its address is the first line of the output."""

from __future__ import annotations

import asyncio

from ._thread import Standin


def _tell(standin: Standin) -> None:
    print(standin.url, flush=True)


asyncio.run(Standin().serve(asyncio.Event(), _tell))
