"""Run a stand-in until killed; it prints "ready", its process id and its URL once it serves."""

from __future__ import annotations

import asyncio
import os

from ._thread import Standin


def _tell(standin: Standin) -> None:
    print(f"ready {os.getpid()} {standin.url}", flush=True)


asyncio.run(Standin().serve(asyncio.Event(), _tell))
