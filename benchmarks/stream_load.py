"""A load of phones and participants on a bridge into Stream calls: how late audio comes.

For each call a phone on a media socket (PCMU, paced) and a participant of the Stream call (by
getstream's own SDK) say a tone with a chirp each second. One more call, of two
participants and no phone, shows how late the chirps come without any bridge: by the SDKs' buffers
and the stand-in. What a bridge adds is what is beyond the median of that.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import trio

sys.path.append(str(Path(__file__).parent.parent / "tests"))
from marked_audio import Timeline, clicks_in, delays_of, marked_tone, marks_of
from media_phone import MediaPhone
from numpy.typing import NDArray
from stream_standin import Guest, getstream_led_to, open_guest

from benchmarks.load.process import cpu_seconds
from telnyx_trio import open_client_websocket

KEPT: list[Any] = []
"""What keeps participants in their calls."""

JOIN_TIME = 4.0
"""Seconds for a phone to be in its call before somebody else comes, whom the plugin would else not
hear."""


async def be_a_phone(
    url: str, *, task_status: trio.TaskStatus[MediaPhone] = trio.TASK_STATUS_IGNORED
) -> None:
    """Be on the phone at a media socket until cancelled."""
    async with open_client_websocket(url) as websocket, trio.open_nursery() as nursery:
        phone = MediaPhone(websocket, marked_tone(8000))
        nursery.start_soon(phone.listen)
        nursery.start_soon(phone.talk)
        task_status.started(phone)


async def open_load(
    nursery: trio.Nursery, options: argparse.Namespace
) -> tuple[list[tuple[MediaPhone, Guest]], list[Guest]]:
    """Have everybody in their calls.

    Returns:
        The phones, each with its participant; and the two who have no bridge between them.
    """
    phones = []
    for n in range(options.calls):
        phones.append(await nursery.start(be_a_phone, f"{options.url}/bench-{n}"))
        await trio.sleep(0.137)  # so that the calls are not in step
    await trio.sleep(JOIN_TIME)
    says = marked_tone(48000)
    guests: list[Guest] = []
    for call_id, name in [
        *((f"bench-{n}", "ann") for n in range(options.calls)),
        ("no-bridge", "ann"),
        ("no-bridge", "bob"),
    ]:
        manager = open_guest(options.standin, call_id, name, says=says)
        guests.append(await trio.to_thread.run_sync(manager.__enter__))
        KEPT.append(manager)
    return list(zip(phones, guests[:-2], strict=True)), guests[-2:]


def lateness(said: Timeline, heard: Timeline) -> NDArray[Any]:
    """Return how late what was said has been heard, in milliseconds."""
    said_at, _ = marks_of(said)
    heard_at, _ = marks_of(heard)
    return 1000 * delays_of(said_at, heard_at)


def percentiles(added: NDArray[Any]) -> dict[str, float | None]:
    """Return the median and the 99th percentile."""
    if not len(added):
        return {"p50_ms": None, "p99_ms": None}
    return {
        name: round(float(np.percentile(added, n)), 1)
        for name, n in (("p50_ms", 50), ("p99_ms", 99))
    }


async def main(options: argparse.Namespace) -> None:
    """Carry the load, and print what it has shown as JSON."""
    async with trio.open_nursery() as nursery:
        pairs, (ann, bob) = await open_load(nursery, options)
        await trio.sleep(options.warm_up)
        print(json.dumps(await look(options, pairs, ann, bob)), flush=True)
        os._exit(0)  # the server and the stand-in are killed as well; nobody need leave in order


async def look(
    options: argparse.Namespace, pairs: list[tuple[MediaPhone, Guest]], ann: Guest, bob: Guest
) -> dict[str, Any]:
    """Let them talk for a while, and return what that has shown."""
    loads = [os.getpid(), options.standin_pid]
    both_ways = [
        (phone.said, guest.heard["phone-user"], guest.said, phone.heard) for phone, guest in pairs
    ]
    both_ways.append((ann.said, bob.heard["ann"], bob.said, ann.heard["bob"]))
    starts = [[timeline.n_chunks for timeline in timelines] for timelines in both_ways]
    gaps = sum(phone.gaps for phone, _ in pairs)
    guests = [*(guest for _, guest in pairs), ann, bob]
    began_at, cpu = time.monotonic(), cpu_seconds(options.server_pid)
    load_cpu = sum(map(cpu_seconds, loads))
    await trio.sleep(options.seconds)
    elapsed = time.monotonic() - began_at
    cpu = cpu_seconds(options.server_pid) - cpu
    load_cpu = sum(map(cpu_seconds, loads)) - load_cpu
    gaps = sum(phone.gaps for phone, _ in pairs) - gaps
    # Copies, as they all talk on, and this process stands still now and then from here on.
    *of_calls, (said, heard, _, _) = [
        tuple(map(Timeline.since, timelines, at))
        for timelines, at in zip(both_ways, starts, strict=True)
    ]
    base = float(np.median(lateness(said, heard)))
    to_stream = [lateness(said, heard) for said, heard, _, _ in of_calls]
    to_phone = [lateness(said, heard) for _, _, said, heard in of_calls]
    clicks = [sum(clicks_in(timelines[n]) for timelines in of_calls) for n in (1, 3)]
    return {
        "calls": options.calls,
        "seconds": round(elapsed, 1),
        "cpu_percent_per_call": round(100 * cpu / elapsed / options.calls, 2),
        "load_cpu_percent": round(100 * load_cpu / elapsed, 1),
        "without_bridge_p50_ms": round(base, 1),
        "without_bridge_clicks_per_minute": round(60 * clicks_in(heard) / elapsed, 2),
        "to_stream": percentiles(np.concatenate(to_stream) - base),
        "to_phone": percentiles(np.concatenate(to_phone) - base),
        "marks": [sum(map(len, to_stream)), sum(map(len, to_phone))],
        "clicks_per_minute": [round(60 * n / elapsed / options.calls, 2) for n in clicks],
        "participants_lost": sum(guest.n_losses for guest in guests),
        "gaps_at_phone_per_minute": round(60 * gaps / elapsed / options.calls, 2),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True, help="ws:// of the media sockets")
    parser.add_argument("--standin", required=True, help="URL of the stand-in for Stream")
    parser.add_argument("--server-pid", type=int, required=True)
    parser.add_argument("--standin-pid", type=int, required=True)
    parser.add_argument("--calls", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--warm-up", type=float, default=5)
    options = parser.parse_args()
    with getstream_led_to(options.standin):
        trio.run(main, options)
