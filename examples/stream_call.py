"""Answer a phone call and have it in a Stream call, where others join with a browser.

    python examples/stream_call.py --simulate
    python examples/stream_call.py --setup-telnyx --phone-number +15551234567

Needs the extra [stream]. The second needs STREAM_API_KEY and STREAM_API_SECRET (and takes
STREAM_BASE_URL) besides what inbound_call.py needs. It makes the two users, and prints a link with
which somebody joins. The first, from a clone, has a simulated phone and a stand-in for Stream.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import trio
from _settings import (
    SIMULATED_NUMBER,
    SIMULATED_PARTY,
    add_account_flags,
    cancelled_by_signals,
    make_parser,
    missing_application,
    open_account,
    open_place,
    run,
    serve_until_signal,
)
from getstream import AsyncStream, Stream
from getstream.models import UserRequest

from telnyx_trio import Call, StreamParticipantJoined, open_server, open_stream_bridge
from telnyx_trio.testing import CALLER_WAV, Carrier, Phone

JOIN_URL = "https://getstream.io/video/demos/join"
PHONE_USER, BROWSER_USER = "phone-user", "browser-user"


async def agent(call: Call) -> None:
    """Have the caller in a Stream call of its own, until either has ended."""
    print(f"call from {call.info.from_number}", flush=True)
    call_id = f"phone-{uuid.uuid4()}"
    print(f"join with: {await trio.to_thread.run_sync(prepare, call_id)}", flush=True)
    stream_call = AsyncStream(base_url=None).video.call("default", call_id)
    async with open_stream_bridge(call, stream_call, user_id=PHONE_USER, hang_up=True) as bridge:
        print("the phone is in the Stream call", flush=True)
        async for event in bridge.events:
            what = "joined" if isinstance(event, StreamParticipantJoined) else "left"
            print(f"{event.participant.user_id} {what}", flush=True)
    print(f"the Stream call was left; ended by {bridge.ended_by}", flush=True)


def prepare(call_id: str) -> str:
    """Make the users and the call, and return a link to join it; blocks."""
    with Stream(base_url=None) as client:
        client.upsert_users(
            UserRequest(id=PHONE_USER, name="Phone"), UserRequest(id=BROWSER_USER, name="Browser")
        )
        client.video.call("default", call_id).get_or_create(data={"created_by_id": PHONE_USER})
        token = client.create_token(BROWSER_USER, expiration=3600)
        query = urlencode({"api_key": client.api_key, "token": token, "skip_lobby": "true"})
        return f"{JOIN_URL}/{call_id}?{query}"


@contextmanager
def stream_of(options: argparse.Namespace) -> Iterator[Any]:
    """Lead to Stream, or in a simulation to the stand-in that a clone has among its tests."""
    if not options.simulate:
        yield None
        return
    sys.path.append(str(Path(__file__).parent.parent / "tests"))
    from stream_standin import API_KEY, API_SECRET, getstream_led_to, open_standin

    with open_standin() as standin, getstream_led_to(standin.url):
        os.environ["STREAM_API_KEY"] = API_KEY
        os.environ["STREAM_API_SECRET"] = API_SECRET
        os.environ["STREAM_BASE_URL"] = standin.url
        yield standin


async def call_in(carrier: Carrier) -> None:
    """Be one simulated caller."""
    caller = Phone(says=CALLER_WAV, speak_at=1, hang_up_at=4)
    leg = await carrier.call_in(to=SIMULATED_NUMBER, from_=SIMULATED_PARTY, phone=caller)
    hangup = await leg.wait_ended()
    print(f"the call ended: {hangup.cause} by {hangup.source}")


async def serve(options: argparse.Namespace) -> int:
    """Answer calls, until Ctrl-C or for the one call of a simulation."""
    needed = [] if options.phone_number_id else ["phone_number"]
    missing = [
        f"{name} is not set; Stream's dashboard shows it"
        for name in ("STREAM_API_KEY", "STREAM_API_SECRET")
        if not options.simulate and not os.environ.get(name)
    ]
    missing += missing_application(options)
    for chatty in ("aioice", "getstream", "websocket"):
        logging.getLogger(chatty).setLevel(logging.CRITICAL)
    with stream_of(options):
        async with (
            cancelled_by_signals(),
            open_place(options, needed=needed, missing=missing) as place,
            open_server(place.config, agent) as server,
            open_account(server, place, options, "inbound"),
        ):
            number = place.config.phone_number or options.phone_number_id
            news = f"listening at {server.url}; now call {number}"
            if place.carrier is None:
                await serve_until_signal(server, news)
            else:
                print(news, flush=True)
                await call_in(place.carrier)
                await server.stop()
            return 0
    return 130


if __name__ == "__main__":
    parser = make_parser(__doc__)
    add_account_flags(parser)
    run(serve, parser.parse_args())
