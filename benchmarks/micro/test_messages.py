"""Messages of media streams: JSON text to values, and back."""

from __future__ import annotations

import itertools
import json
import os
from base64 import b64encode
from typing import Any

from telnyx_trio.protocol import (
    Media,
    MediaConnection,
    SendMark,
    SendMedia,
    parse_message,
    serialise,
)

Benchmark = Any
"""pytest-benchmark's fixture."""

PAYLOAD = os.urandom(160)


def media(n: int) -> str:
    """Return the n-th media message of a call, as Telnyx sends it."""
    return json.dumps(
        {
            "event": "media",
            "sequence_number": str(n + 1),
            "media": {
                "track": "inbound",
                "chunk": str(n),
                "timestamp": str(20 * n),
                "payload": b64encode(PAYLOAD).decode(),
            },
            "stream_id": "32de0dea-53cb-4b21-89a4-9e1819c043bc",
        }
    )


def test_parse_media(benchmark: Benchmark) -> None:
    """A packet that Telnyx sends."""
    message = benchmark(parse_message, media(7))
    assert isinstance(message, Media)
    assert message.payload == PAYLOAD


def test_receive_media(benchmark: Benchmark) -> None:
    """A stream of them through the protocol: state, order, duplicates. 100 packets a round."""
    connection = MediaConnection()
    start = {"event": "start", "start": {"call_control_id": "v3:abc"}}
    connection.receive(json.dumps(start), 0.0)
    numbers = itertools.count(1)

    def make_texts() -> tuple[tuple[list[str]], dict[str, Any]]:
        return ([media(n) for n in itertools.islice(numbers, 100)],), {}

    def receive(texts: list[str]) -> int:
        return sum(len(connection.receive(text, 0.0)) for text in texts)

    assert benchmark.pedantic(receive, setup=make_texts, rounds=200) == 100


def test_serialise_media(benchmark: Benchmark) -> None:
    """A packet that we send."""
    text = benchmark(serialise, SendMedia(PAYLOAD))
    assert json.loads(text)["media"]["payload"] == b64encode(PAYLOAD).decode()


def test_serialise_mark(benchmark: Benchmark) -> None:
    """A mark that we send."""
    assert json.loads(benchmark(serialise, SendMark("7")))["mark"] == {"name": "7"}
