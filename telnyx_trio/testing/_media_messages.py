"""The JSON texts that a carrier sends on a media socket, numbered."""

from __future__ import annotations

import json
from binascii import b2a_base64
from collections.abc import Mapping, Sequence
from typing import Any, Final

from .._types import STREAMING_AUTH_HEADER, Track

ERROR_TITLES: Final[Mapping[int, str]] = {
    100002: "unknown_error",
    100003: "malformed_frame",
    100004: "invalid_media",
    100005: "rate_limit_reached",
}
"""Codes of ``error`` messages, from the same page."""


def connected(auth_token: str | None) -> str:
    """Make the first message; it repeats the token of the handshake."""
    message: dict[str, Any] = {"event": "connected", "version": "1.0.0"}
    if auth_token is not None:
        message["connected"] = {STREAMING_AUTH_HEADER: auth_token}
    return json.dumps(message)


class MediaMessages:
    """Makes the messages of one stream, each with the next ``sequence_number``.

    The counters are strings on the wire, and ``error`` has none, as in Telnyx's reference.

    Args:
        stream_id: repeated in each message.
        tracks: that ``media`` will be called with.
    """

    def __init__(self, stream_id: str, tracks: Sequence[Track]) -> None:
        self._stream_id = json.dumps(stream_id)
        self._sequence_number = 0
        # 50 packets a second and track: a template costs a tenth of json.dumps.
        self._templates = {
            track: (
                f'{{"event":"media","sequence_number":"%d","stream_id":{self._stream_id},'
                f'"media":{{"track":"{track}","chunk":"%d","timestamp":"%d","payload":"%s"}}}}'
            )
            for track in tracks
        }

    def make(self, event: str, key: str, value: Any, **further: str) -> str:
        """Make any message but ``connected`` and ``media``.

        Args:
            event: its name.
            key: under which its content stands.
            value: the content.
            **further: fields beside the content.
        """
        number = ""
        if event != "error":
            self._sequence_number += 1
            number = f'"sequence_number":"{self._sequence_number}",'
        body = json.dumps({**further, key: value})[1:]
        return f'{{"event":"{event}",{number}"stream_id":{self._stream_id},{body}'

    def media(self, track: Track, chunk: int, timestamp_ms: int, payload: bytes) -> str:
        """Make one packet."""
        self._sequence_number += 1
        encoded = b2a_base64(payload, newline=False).decode("ascii")
        return self._templates[track] % (self._sequence_number, chunk, timestamp_ms, encoded)
