"""client_state: as Telnyx carries it, and the tag that a server puts before the user's part."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telnyx_trio._errors import RemoteProtocolError
from telnyx_trio.call_control import (
    decode_client_state,
    encode_client_state,
    new_client_state_tag,
    split_client_state,
    tag_client_state,
)


@pytest.mark.parametrize("state", ["", "id=42", "ünï ✓", b"\x00\xff"])
def test_client_state_round_trip(state: str | bytes) -> None:
    """A state comes back as it was given."""
    raw = state.encode() if isinstance(state, str) else state
    assert decode_client_state(encode_client_state(state)) == raw


@pytest.mark.parametrize("state", ["id=42", "aWQ9NDI", "é"])
def test_client_state_that_is_not_base64(state: str) -> None:
    """A state that nobody encoded is told apart."""
    with pytest.raises(RemoteProtocolError, match="not base64"):
        decode_client_state(state)


@given(st.binary())
def test_tagged_state_comes_apart_again(state: bytes) -> None:
    """Tag and state are told apart, whatever the state holds."""
    tag = new_client_state_tag()
    assert split_client_state(tag_client_state(tag, state)) == (tag, state)


def test_text_is_utf8() -> None:
    """A state may be text."""
    assert split_client_state(tag_client_state(b"", "ünï")) == (b"", "ünï".encode())


def test_tags_differ() -> None:
    """No two legs have the same tag."""
    assert len({new_client_state_tag() for _ in range(100)}) == 100


@pytest.mark.parametrize(
    ("client_state", "expected"),
    [
        (None, (b"", b"")),
        ("", (b"", b"")),
        (encode_client_state("order 7"), (b"", b"order 7")),
        (encode_client_state("telnyx-trio:short"), (b"", b"telnyx-trio:short")),
        ("not base64!", (b"", b"not base64!")),
    ],
)
def test_state_without_a_tag(client_state: str | None, expected: tuple[bytes, bytes]) -> None:
    """What somebody else set is a state, never an error."""
    assert split_client_state(client_state) == expected
