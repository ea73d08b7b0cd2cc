"""Who is in a Stream call, as a session learns it from its SDK: without that, and without I/O."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from types import SimpleNamespace
from typing import Any

import numpy as np

from telnyx_trio.bridges._bridge_audio import BridgeAudio
from telnyx_trio.bridges._bridge_values import StreamParticipant
from telnyx_trio.bridges._stream_session import StreamSession


class Told:
    """What a session tells: + or - and a session id."""

    def __init__(self) -> None:
        self.changes: list[str] = []

    def take_joined(self) -> None:
        self.changes.append("joined")

    def take_participant(self, participant: StreamParticipant, *, is_there: bool) -> None:
        self.changes.append(f"{'+' if is_there else '-'}{participant.session_id}")

    def take(self) -> list[str]:
        changes, self.changes = self.changes, []
        return changes


def participants(*session_ids: str) -> list[Any]:
    """Participants; the user of "ann1" is "ann"."""
    return [
        SimpleNamespace(user_id=name[:-1], session_id=name, name="", published_tracks=[])
        for name in session_ids
    ]


def open_session() -> tuple[StreamSession, BridgeAudio, Told]:
    audio, told = BridgeAudio(), Told()
    return StreamSession(object(), "phone", audio, told, join_timeout=1.0), audio, told


def heard_of(session_id: str) -> Any:
    """20 ms of a speaker, as getstream has them."""
    samples = np.ones(960, np.int16)
    speaker = SimpleNamespace(session_id=session_id)
    return SimpleNamespace(sample_rate=48000, channels=1, samples=samples, participant=speaker)


def connection(own: str, present: list[Any]) -> Any:
    """One of getstream 7, whose own session id its native call tells."""

    async def session_id() -> str:
        return own

    state = SimpleNamespace(get_participants=lambda: present)
    return SimpleNamespace(
        participants_state=state, _rust_call=SimpleNamespace(session_id=session_id)
    )


def run(awaitable: Awaitable[None]) -> None:
    async def main() -> None:
        await awaitable

    asyncio.run(main())


def test_the_differences_are_told() -> None:
    """Those who left first; nothing is told twice, and never of the own session."""
    session, _, told = open_session()
    run(session._learn_participants(connection("phone1", participants("phone1", "ann1"))))
    assert told.take() == ["+ann1"]
    session._take_participants(participants("phone1", "ann1"))
    assert told.take() == []
    session._take_participants(participants("phone1", "bob1", "ann2"))
    assert told.take() == ["-ann1", "+bob1", "+ann2"]


def test_others_of_the_same_user() -> None:
    """While the own session is not known they are taken for it; then they are told."""
    session, _, told = open_session()
    session._take_participants(participants("phone1", "phone2", "ann1"))
    assert told.take() == ["+ann1"]
    run(session._learn_participants(connection("phone2", participants("phone1", "phone2", "ann1"))))
    assert told.take() == ["+phone1"]


def test_audio_of_who_has_left() -> None:
    """It is not heard, and keeps no buffer; who is back is heard."""
    session, audio, _ = open_session()
    session._take_participants(participants("ann1"))
    session._hear(heard_of("ann1"))
    session._take_participants([])
    for _ in range(5):
        session._hear(heard_of("ann1"))
        audio.take_mixed()
    assert audio.statistics()[1] == {}
    session._take_participants(participants("ann1"))
    session._hear(heard_of("ann1"))
    assert list(audio.statistics()[1]) == ["ann1"]


def test_media_alone_are_mended() -> None:
    """getstream 4 keeps its WebSocket then, and what it got at its beginning is old."""
    session, _, told = open_session()
    present = participants("ann1", "bob1")
    at_first = SimpleNamespace(call_state=SimpleNamespace(participants=participants("ann1")))
    client = SimpleNamespace(
        ws=SimpleNamespace(sock=None), first_message=SimpleNamespace(join_response=at_first)
    )
    connection_4 = SimpleNamespace(
        ws_client=client,
        session_id="phone1",
        participants_state=SimpleNamespace(get_participants=lambda: present),
    )

    async def be_mended() -> None:
        session._take_state(connection_4, {"old": "JOINING", "new": "JOINED"})
        await session._learn_participants(connection_4)
        assert told.take() == ["+ann1", "+bob1"]
        session._take_state(connection_4, {"old": "JOINED", "new": "RECONNECTING"})
        session._take_state(connection_4, {"old": "RECONNECTING", "new": "JOINED"})
        assert session._catching_up is not None
        await session._catching_up

    run(be_mended())
    assert told.take() == []


def test_while_a_connection_is_mended() -> None:
    """What is known meanwhile is old; afterwards it is learnt anew, with a new own session."""
    session, _, told = open_session()
    before = connection("phone1", participants("phone1", "ann1"))
    run(session._learn_participants(before))
    assert told.take() == ["+ann1"]
    after = connection("phone2", participants("phone2", "bob1"))

    async def be_mended() -> None:
        session._take_state(after, {"old": "JOINED", "new": "RECONNECTING"})
        session._take_participants(participants("phone2", "bob1"))
        assert told.take() == []
        session._take_state(after, {"old": "RECONNECTING", "new": "JOINING"})
        session._take_participants(participants("phone2", "bob1"))
        assert told.take() == []
        session._take_state(after, {"old": "JOINING", "new": "JOINED"})
        assert session._catching_up is not None
        await session._catching_up

    run(be_mended())
    assert told.take() == ["-ann1", "+bob1"]
