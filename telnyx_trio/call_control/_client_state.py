"""``client_state``: the text that Telnyx repeats in each webhook of a leg. Pure.

Telnyx carries it as base64. A server puts a tag of its own in front, by which it knows the legs
that it dialled before Telnyx has told their ids; what the user gave stands behind the tag, and is
all that the user gets to see.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from typing import Final

from .._errors import RemoteProtocolError

_TAG: Final = b"telnyx-trio:"
_RANDOM_BYTES: Final = 18
_TAG_SIZE: Final = len(_TAG) + _RANDOM_BYTES * 4 // 3


def encode_client_state(state: str | bytes) -> str:
    """Return ``state`` in base64, the form in which Telnyx takes and echoes it; text as UTF-8."""
    raw = state.encode() if isinstance(state, str) else state
    return base64.b64encode(raw).decode("ascii")


def decode_client_state(client_state: str) -> bytes:
    """Return what ``encode_client_state`` was given, as bytes.

    Raises:
        RemoteProtocolError: that is not base64.
    """
    try:
        return base64.b64decode(client_state, validate=True)
    except (binascii.Error, ValueError):
        raise RemoteProtocolError("client_state is not base64") from None


def new_client_state_tag() -> bytes:
    """Return a tag that no other leg has."""
    return _TAG + secrets.token_urlsafe(_RANDOM_BYTES).encode()


def tag_client_state(tag: bytes, state: str | bytes = b"") -> str:
    """Return base64 of ``state`` behind ``tag``, which may be empty."""
    return encode_client_state(tag + (state.encode() if isinstance(state, str) else state))


def split_client_state(client_state: str | None) -> tuple[bytes, bytes]:
    """Return tag and state of what Telnyx echoed; each may be empty.

    What is not base64 was set by somebody else, and counts as a state without a tag.
    """
    try:
        raw = decode_client_state(client_state or "")
    except RemoteProtocolError:
        return b"", (client_state or "").encode()
    if raw.startswith(_TAG) and len(raw) >= _TAG_SIZE:
        return raw[:_TAG_SIZE], raw[_TAG_SIZE:]
    return b"", raw
