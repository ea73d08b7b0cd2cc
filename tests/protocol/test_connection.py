"""The media connection: what each state allows, the order of media, counting, and sending."""

from __future__ import annotations

import json
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telnyx_trio._errors import LocalProtocolError, RemoteProtocolError
from telnyx_trio._types import Track
from telnyx_trio.protocol import (
    Command,
    Connected,
    Dtmf,
    Error,
    Mark,
    Media,
    MediaConnection,
    Message,
    MissingMedia,
    Received,
    SendClear,
    SendMark,
    SendMedia,
    Start,
    Stop,
    StreamState,
    UnknownMessage,
    parse_command,
    serialise,
)

CONNECTED, STARTED, STOPPED = StreamState.CONNECTED, StreamState.STARTED, StreamState.STOPPED

SAMPLES: list[Message] = [
    Connected("1.0.0"),
    Start(stream_id="a"),
    Media("inbound", b"\xff", 1),
    Dtmf("4"),
    Mark("turn-3"),
    Error(100004),
    UnknownMessage("news"),
    Stop(),
]

# What h11 calls the table read the other way: who may come when, written down once more by hand.
ALLOWED: dict[tuple[StreamState, type[Message]], StreamState] = {
    (CONNECTED, Connected): CONNECTED,
    (CONNECTED, Start): STARTED,
    (CONNECTED, Error): CONNECTED,
    (CONNECTED, UnknownMessage): CONNECTED,
    (CONNECTED, Stop): STOPPED,
    (STARTED, Connected): STARTED,
    (STARTED, Media): STARTED,
    (STARTED, Dtmf): STARTED,
    (STARTED, Mark): STARTED,
    (STARTED, Error): STARTED,
    (STARTED, UnknownMessage): STARTED,
    (STARTED, Stop): STOPPED,
}


def connection_in(state: StreamState, *, stream_id: str | None = "a") -> MediaConnection:
    connection = MediaConnection()
    if state is not CONNECTED:
        connection.receive(serialise(Start(stream_id=stream_id)), 0.0)
    if state is STOPPED:
        connection.receive(serialise(Stop()), 0.0)
    assert connection.state is state
    return connection


def receive(connection: MediaConnection, *messages: Message, now: float = 0.0) -> list[Received]:
    return [out for message in messages for out in connection.receive(serialise(message), now)]


def media(chunk: int, *, track: Track = "inbound", stream_id: str | None = None) -> Media:
    return Media(track, str(chunk).encode(), chunk, stream_id=stream_id)


@pytest.mark.parametrize("state", StreamState)
@pytest.mark.parametrize("message", SAMPLES, ids=lambda message: type(message).__name__)
def test_state_table(state: StreamState, message: Message) -> None:
    """In each state each message is either taken, with its next state, or refused and harmless."""
    connection = connection_in(state)
    before = connection.counters
    following = ALLOWED.get((state, type(message)))
    if following is None:
        with pytest.raises(RemoteProtocolError, match=f"not allowed in state {state.name}"):
            receive(connection, message)
        assert connection.state is state
        assert connection.counters.refused == before.refused + 1
        assert connection.counters.messages == before.messages
    else:
        assert receive(connection, message) == [message]
        assert connection.state is following
        assert connection.counters.messages == before.messages + 1
        assert connection.counters.refused == 0


def test_second_start_changes_nothing() -> None:
    """A second start is refused and does not take the stream over."""
    connection = connection_in(STARTED)
    with pytest.raises(RemoteProtocolError):
        receive(connection, Start(stream_id="b"))
    assert receive(connection, media(1, stream_id="a")) == [media(1, stream_id="a")]
    assert json.loads(connection.send(SendMedia(b"")))["stream_id"] == "a"


@pytest.mark.parametrize("state", StreamState)
def test_malformed_message_changes_nothing(state: StreamState) -> None:
    """A malformed message raises, is counted as such, and the state stays."""
    connection = connection_in(state)
    for text in ["{", '{"event":"media"}', '{"event":"stop","stop":5}']:
        with pytest.raises(RemoteProtocolError):
            connection.receive(text, 0.0)
    assert connection.state is state
    assert connection.counters.malformed == 3
    assert connection.counters.refused == 0


def test_malformed_media_does_not_end_the_media() -> None:
    """Media before and after a malformed message are delivered."""
    connection = connection_in(STARTED)
    assert receive(connection, media(1)) == [media(1)]
    with pytest.raises(RemoteProtocolError):
        connection.receive('{"event":"media","media":{"payload":"!"}}', 0.0)
    assert receive(connection, media(2)) == [media(2)]


def test_media_are_put_in_order() -> None:
    """Media that are ahead wait for the one that is missing."""
    connection = connection_in(STARTED)
    out = receive(connection, media(1), media(3), media(2), media(4))
    assert out == [media(1), media(2), media(3), media(4)]


def test_tracks_are_ordered_apart() -> None:
    """A gap in one track does not hold the other one."""
    connection = connection_in(STARTED)
    receive(connection, media(1), media(1, track="outbound"), media(3))
    theirs = media(2, track="outbound")
    assert receive(connection, theirs) == [theirs]
    assert receive(connection, media(2)) == [media(2), media(3)]


def test_other_messages_do_not_wait_for_media() -> None:
    """A key press comes out while media wait."""
    connection = connection_in(STARTED)
    receive(connection, media(1), media(3))
    assert receive(connection, Dtmf("4")) == [Dtmf("4")]


def test_stop_comes_after_waiting_media() -> None:
    """Media that wait when stop comes are delivered before it."""
    connection = connection_in(STARTED)
    receive(connection, media(1), media(4), media(3))
    assert receive(connection, Stop()) == [MissingMedia("inbound", 1), media(3), media(4), Stop()]
    assert connection.flush() == []


def test_flush_returns_waiting_media() -> None:
    """When the socket dies without stop, waiting media of both tracks can be had."""
    connection = connection_in(STARTED)
    ours, theirs = media(3), media(3, track="outbound")
    receive(connection, media(1), media(1, track="outbound"), theirs, ours)
    missing = MissingMedia("inbound", 1), MissingMedia("outbound", 1)
    assert connection.flush() == [missing[0], ours, missing[1], theirs]
    assert connection.state is STARTED


def test_missing_media_are_given_up_in_time() -> None:
    """Of each track when its time has come; what is missing is named in its place."""
    connection = connection_in(STARTED)
    assert connection.due == inf
    theirs = media(3, track="outbound")
    receive(connection, media(1), media(1, track="outbound"))
    receive(connection, media(4), now=1.0)
    receive(connection, theirs, now=1.05)
    assert connection.counters.waiting == 2
    assert connection.due == 1.0 + connection.reorder_patience
    assert connection.expire(connection.due) == [MissingMedia("inbound", 2), media(4)]
    assert connection.due > 1.1
    assert connection.expire(connection.due) == [MissingMedia("outbound", 1), theirs]
    assert (connection.due, connection.counters.waiting, connection.counters.missing) == (inf, 0, 3)


def test_media_of_another_stream_are_refused() -> None:
    """Media that name another stream than start did are refused and counted."""
    connection = connection_in(STARTED)
    with pytest.raises(RemoteProtocolError, match="another stream"):
        receive(connection, media(1, stream_id="b"))
    assert connection.counters.refused == 1
    assert connection.counters.media_inbound == 0


@pytest.mark.parametrize(("started_as", "named"), [("a", "a"), ("a", None), (None, "b")])
def test_media_without_contradiction_are_taken(started_as: str | None, named: str | None) -> None:
    """A stream id that is the same, or absent on either side, is no contradiction."""
    connection = connection_in(STARTED, stream_id=started_as)
    packet = Media("inbound", b"\xff", 1, stream_id=named)
    assert receive(connection, packet) == [packet]


def test_counters() -> None:
    """Each message is counted where it belongs, the windows of both tracks together."""
    connection = connection_in(STARTED)
    receive(connection, UnknownMessage("news"), Dtmf("1"))
    receive(connection, *(media(chunk) for chunk in [1, 3, 4, 5, 6]))
    receive(connection, *(media(chunk) for chunk in [7, 2, 7, 9000]), now=1.0)
    receive(connection, *(media(chunk, track="outbound") for chunk in [5, 5, 4]))
    for text in ["", serialise(Start()), serialise(Start())]:
        with pytest.raises(RemoteProtocolError):
            connection.receive(text, 0.0)
    counters = connection.counters
    assert (counters.messages, counters.unknown) == (15, 1)
    assert (counters.media_inbound, counters.media_outbound) == (9, 3)
    assert (counters.malformed, counters.refused) == (1, 2)
    assert (counters.late, counters.duplicates) == (2, 2)
    assert (counters.missing, counters.resyncs) == (1, 1)


def test_counters_are_a_copy() -> None:
    """Counters that were read do not change afterwards."""
    connection = connection_in(STARTED)
    before = connection.counters
    receive(connection, Dtmf("1"))
    assert before.messages == connection.counters.messages - 1


@pytest.mark.parametrize("command", [SendMedia(b"\xff"), SendMark("turn-3"), SendClear()], ids=repr)
def test_send(command: Command) -> None:
    """A command becomes the text that Telnyx reads; media are given the id of the stream."""
    expected = SendMedia(b"\xff", "a") if isinstance(command, SendMedia) else command
    assert parse_command(connection_in(STARTED).send(command)) == expected


def test_send_keeps_the_stream_id_that_is_given() -> None:
    """Media that name a stream keep that name."""
    text = connection_in(STARTED).send(SendMedia(b"\xff", "b"))
    assert parse_command(text) == SendMedia(b"\xff", "b")


def test_send_without_stream_id() -> None:
    """When start named no stream, media name none."""
    connection = connection_in(STARTED, stream_id=None)
    assert connection.send(SendMedia(b"\xff")) == '{"event":"media","media":{"payload":"/w=="}}'


@pytest.mark.parametrize("command", [SendMedia(b"\xff"), SendMark("turn-3"), SendClear()], ids=repr)
@pytest.mark.parametrize(("state", "when"), [(CONNECTED, "before"), (STOPPED, "after")])
def test_send_outside_of_the_stream(state: StreamState, when: str, command: Command) -> None:
    """Before start and after stop nothing can be sent; the error says which."""
    with pytest.raises(LocalProtocolError, match=f"{type(command).__name__} {when}"):
        connection_in(state).send(command)


def test_refusal_names_an_unknown_event_by_its_beginning() -> None:
    """A long event name is cut in the error."""
    with pytest.raises(RemoteProtocolError) as caught:
        receive(connection_in(STOPPED), UnknownMessage("x" * 500))
    assert len(str(caught.value)) < 80


messages = st.sampled_from(SAMPLES) | st.builds(
    Media, st.just("inbound"), st.just(b""), st.none() | st.integers(0, 2000)
)


@settings(deadline=None)
@given(texts=st.lists(messages.map(serialise) | st.text(max_size=8), max_size=40))
def test_any_run_is_accounted_for(texts: list[str]) -> None:
    """Whatever comes, each text is taken, malformed or refused, and each packet out or dropped."""
    connection = MediaConnection()
    out: list[Received] = []
    for text in texts:
        try:
            out += connection.receive(text, 0.0)
        except RemoteProtocolError:
            continue
    out += connection.flush()
    counters = connection.counters
    assert counters.messages + counters.malformed + counters.refused == len(texts)
    delivered = sum(isinstance(message, Media) for message in out)
    assert delivered + counters.late + counters.duplicates == counters.media_inbound
