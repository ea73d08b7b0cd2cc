"""MediaStream over the memory pair: its life, what it sends and when, its deadlines."""

from __future__ import annotations

import gc
import json
import logging
from base64 import b64decode
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
import trio
import trio.testing
from stream_peer import (
    SILENT_PACKET,
    STOP,
    StreamPeer,
    mark_text,
    media_text,
    pcm_of,
    running_stream,
    silence,
    start_text,
)

from telnyx_trio._errors import LocalProtocolError, MediaTimeout, UnsupportedEncoding
from telnyx_trio._events import MarkReturned
from telnyx_trio._media_stream import BYTEORDER_PATIENCE, MediaStream, StreamEnd
from telnyx_trio._sender import MAX_SEND_QUEUE
from telnyx_trio._types import ByteOrder, TelnyxMediaFormat, WireByteOrder
from telnyx_trio._watchdog import SILENCE_TIMEOUT, START_TIMEOUT
from telnyx_trio.audio import pcm_to_l16, pcm_to_pcmu
from telnyx_trio.testing import MemoryWebSocket, memory_websocket_pair

Clock = trio.testing.MockClock


def new_stream(**options: Any) -> tuple[MediaStream, StreamPeer]:
    """A stream that does not run, and its peer."""
    client, server = memory_websocket_pair()
    return MediaStream(server, **options), StreamPeer(client)


async def let_run() -> None:
    """Let everything come to rest."""
    await trio.testing.wait_all_tasks_blocked()


# How it ends.


async def test_stop_is_a_normal_end() -> None:
    """`run` returns, the socket is closed with a close frame, the channels run dry."""
    stream, peer = new_stream()
    await peer.send(start_text(), media_text(), STOP)
    assert await stream.run() is StreamEnd.STOPPED
    assert peer.websocket.close_code == 1000
    assert not stream.is_connected
    assert stream.has_started
    assert [pcm.n_samples async for pcm in stream.audio_track] == [160]
    assert [event async for event in stream.events] == []


async def test_close_is_a_normal_end() -> None:
    """`close` from another task ends `run`, and returns when that has closed the socket."""
    stream, peer = new_stream()
    ends: list[StreamEnd] = []

    async def run() -> None:
        ends.append(await stream.run())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await peer.send(start_text(), media_text())
        await stream.close()
        assert peer.websocket.close_code == 1000
    assert ends == [StreamEnd.CLOSED]
    assert [pcm.n_samples async for pcm in stream.audio_track] == [160]


@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("how", ["vanish", "close"])
async def test_lost_connection_is_an_error(started: bool, how: str) -> None:
    """No close frame, or a close without a `stop`: not a normal end."""
    stream, peer = new_stream()
    if started:
        await peer.send(start_text())

    async def lose() -> None:
        await let_run()
        if how == "vanish":
            peer.websocket.vanish()
        else:
            await peer.websocket.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(lose)
        with pytest.raises(trio.BrokenResourceError):
            await stream.run()
    assert not stream.is_connected
    with pytest.raises(trio.EndOfChannel):
        await stream.audio_track.receive()


@pytest.mark.parametrize("attempt", range(8))
async def test_hangup_while_sending_is_a_normal_end(attempt: int) -> None:
    """A send that fails because Telnyx has gone must not hide the `stop` that came before."""
    client, server = memory_websocket_pair(max_messages=5)
    stream = MediaStream(server)
    ends: list[StreamEnd] = []

    async def run() -> None:
        ends.append(await stream.run())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await client.send_text(start_text())
        await stream.wait_started()
        await stream.send_audio(silence(1.0))
        await let_run()
        assert stream.statistics().packets_sent == 6
        await client.send_text(STOP)
        await client.aclose()
    assert ends == [StreamEnd.STOPPED]


@pytest.mark.parametrize("attempt", range(12))
async def test_stop_in_the_turn_of_a_send_is_a_normal_end(attempt: int) -> None:
    """A send loop that wakes together with `stop` sends nothing any more, and breaks nothing."""
    stream, peer = new_stream()
    ends: list[StreamEnd] = []

    async def run() -> None:
        ends.append(await stream.run())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await peer.send(start_text())
        nursery.start_soon(stream.send_audio, silence(0.4))
        for _ in range(attempt % 4):
            await trio.lowlevel.checkpoint()
        await peer.websocket.send_text(STOP)
    assert ends == [StreamEnd.STOPPED]


async def test_broken_send_direction_ends_the_stream(autojump_clock: Clock) -> None:
    """If only sending fails and nothing more is received, the error of the send leaves."""

    class HalfBroken(MemoryWebSocket):
        async def send_text(self, text: str) -> None:
            await trio.lowlevel.checkpoint()
            raise trio.BrokenResourceError("half broken")

    client, server = memory_websocket_pair()
    server.__class__ = HalfBroken
    stream = MediaStream(server)
    await client.send_text(start_text())
    await stream.send_audio(silence(0.02))
    with pytest.raises(trio.BrokenResourceError, match="half broken"):
        await stream.run()


async def test_bug_in_a_start_callback_leaves_as_itself() -> None:
    """No group, no swallowing; the socket is closed and the cleanup runs."""
    stream, peer = new_stream()
    error = ValueError("bug")
    cleaned = trio.Event()

    async def fail() -> None:
        raise error

    async def cleanup() -> None:
        cleaned.set()

    stream.add_start_callback(fail)
    stream.add_cleanup_callback(cleanup)
    await peer.send(start_text())
    with pytest.raises(ValueError) as caught:
        await stream.run()
    assert caught.value is error
    assert cleaned.is_set()
    assert peer.websocket.close_code == 1000


async def test_codec_that_we_do_not_speak_leaves_run() -> None:
    """As a typed error that names those we do."""
    stream, peer = new_stream()
    await peer.send(start_text("SPEEX", 16000))
    with pytest.raises(UnsupportedEncoding, match="PCMU"):
        await stream.run()
    assert peer.websocket.close_code == 1000
    assert not stream.has_started


async def test_second_run_is_refused() -> None:
    """Busy while it runs, closed afterwards."""
    async with running_stream() as (stream, peer):
        with pytest.raises(trio.BusyResourceError):
            await stream.run()
        await peer.send(STOP)
        with pytest.raises(trio.ClosedResourceError):
            await stream.run()


@pytest.mark.parametrize("steps", range(40))
async def test_cancelled_anywhere_it_leaves_nothing_open(steps: int) -> None:
    """After any number of scheduler steps: socket closed, channels ended, cleanup done once."""
    client, server = memory_websocket_pair()
    stream = MediaStream(server)
    cleaned: list[bool] = []
    finished: list[object] = []

    async def cleanup() -> None:
        await trio.lowlevel.checkpoint()
        cleaned.append(True)

    async def run() -> None:
        finished.append(await stream.run())

    async def feed() -> None:
        for text in (start_text(), media_text(), media_text()):
            await client.send_text(text)
        await stream.send_audio(silence(0.1))
        await stream.clear()
        await client.send_text(STOP)

    stream.add_cleanup_callback(cleanup)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(feed)
        nursery.start_soon(run)
        for _ in range(steps):
            await trio.lowlevel.cancel_shielded_checkpoint()
        nursery.cancel_scope.cancel()
    assert finished in ([], [StreamEnd.STOPPED])
    if finished or stream._run_scope is not None:
        assert cleaned == [True]
        assert client.close_code is not None
        for _ in range(stream.audio_track.statistics().buffered):
            stream.audio_track.receive_nowait()
        with pytest.raises(trio.EndOfChannel):
            stream.audio_track.receive_nowait()


# close()


async def test_close_before_accept_rejects_the_handshake() -> None:
    """And then there is nothing to run, to accept or to send."""
    stream, peer = new_stream()
    await stream.close()
    assert peer.websocket.close_code == 1006
    for use in (stream.run, stream.accept, stream.clear, lambda: stream.send_audio(silence(0.02))):
        with pytest.raises(trio.ClosedResourceError):
            await use()


async def test_close_without_run_closes_the_socket_and_cleans_up() -> None:
    """A stream that was accepted and never run."""
    stream, peer = new_stream()
    cleaned = trio.Event()

    async def cleanup() -> None:
        cleaned.set()

    stream.add_cleanup_callback(cleanup)
    await stream.accept()
    assert stream.is_connected
    await stream.close()
    assert not stream.is_connected
    assert cleaned.is_set()
    assert peer.websocket.close_code == 1000


async def test_close_is_idempotent() -> None:
    """Twice, from two tasks, and after the end."""
    async with running_stream() as (stream, peer):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.close)
            nursery.start_soon(stream.close)
        with trio.testing.assert_checkpoints():
            await stream.close()
        assert peer.websocket.close_code == 1000


async def test_close_while_accepting() -> None:
    """`run` ends as closed, whatever becomes of the handshake."""
    entered, go_on = trio.Event(), trio.Event()

    class SlowWebSocket(MemoryWebSocket):
        async def accept(self) -> None:
            entered.set()
            await go_on.wait()

    client, server = memory_websocket_pair()
    server.__class__ = SlowWebSocket
    stream = MediaStream(server)
    ends: list[StreamEnd] = []

    async def run() -> None:
        ends.append(await stream.run())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await entered.wait()
        await stream.close()
    assert ends == [StreamEnd.CLOSED]
    assert client.close_code is not None
    assert not stream.is_connected


async def test_close_during_accept_without_run() -> None:
    """The handshake that comes through in that moment does not reopen the stream."""
    entered, go_on = trio.Event(), trio.Event()

    class SlowWebSocket(MemoryWebSocket):
        async def accept(self) -> None:
            entered.set()
            await go_on.wait()

    _, server = memory_websocket_pair()
    server.__class__ = SlowWebSocket
    stream = MediaStream(server)

    async def accept() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await stream.accept()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept)
        await entered.wait()
        await stream.close()
        go_on.set()
    assert not stream.is_connected


async def test_close_from_a_start_callback() -> None:
    """It is cancelled with everything else of the stream."""
    stream, peer = new_stream()
    stream.add_start_callback(stream.close)
    await peer.send(start_text())
    assert await stream.run() is StreamEnd.CLOSED
    assert peer.websocket.close_code == 1000


async def test_close_from_a_cleanup_callback() -> None:
    """It does not wait for itself."""
    stream, peer = new_stream()
    stream.add_cleanup_callback(stream.close)
    await peer.send(start_text(), STOP)
    with trio.fail_after(1):
        assert await stream.run() is StreamEnd.STOPPED


async def test_cancelled_close_still_closes() -> None:
    """The stream ends although its closer does not wait for it."""
    async with running_stream() as (stream, peer):
        with trio.CancelScope() as scope:
            scope.cancel()
            await stream.close()
        await let_run()
        assert peer.websocket.close_code == 1000
        assert not stream.is_connected


async def test_close_waits_a_second_for_a_peer_that_does_not_answer(autojump_clock: Clock) -> None:
    """Not for ever; and when cancelled, next to nothing."""
    for cancelled, longest in ((False, 1.0), (True, 0.1)):
        client, server = memory_websocket_pair()
        stream = MediaStream(server)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.run)
            await client.send_text(start_text())
            await stream.wait_started()
            client.stall()
            began = trio.current_time()
            if cancelled:
                nursery.cancel_scope.cancel()
            else:
                await stream.close()
        assert 0 < trio.current_time() - began <= longest


async def test_peer_that_reads_nothing_does_not_delay_cancellation(autojump_clock: Clock) -> None:
    """Cancelled inside a send that is stuck, the stream is gone in under 0.1 s."""
    client, server = memory_websocket_pair(max_messages=2)
    stream = MediaStream(server)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.run)
        await client.send_text(start_text())
        await stream.wait_started()
        await stream.send_audio(silence(1.0))
        await let_run()
        client.stall()
        began = trio.current_time()
        nursery.cancel_scope.cancel()
    assert trio.current_time() - began < 0.1
    assert client.close_code == 1006


# Callbacks.


async def test_start_callbacks_run_when_start_comes_and_at_once_later() -> None:
    """Each once, as tasks of `run`."""
    order: list[str] = []

    def note(name: str) -> Callable[[], Awaitable[None]]:
        async def callback() -> None:
            order.append(name)

        return callback

    async with running_stream(started=False) as (stream, peer):
        stream.add_start_callback(note("early"))
        await let_run()
        assert order == []
        await peer.send(start_text())
        assert order == ["early"]
        stream.add_start_callback(note("late"))
        await let_run()
        assert order == ["early", "late"]
        await stream.close()
        stream.add_start_callback(note("too late"))
        await let_run()
    assert order == ["early", "late"]


async def test_slow_start_callback_does_not_stop_media() -> None:
    """Audio is received while it runs."""
    async with running_stream(started=False) as (stream, peer):
        stream.add_start_callback(trio.sleep_forever)
        await peer.send(start_text(), media_text())
        assert stream.audio_track.receive_nowait().n_samples == 160


async def test_cleanup_callback_added_late_runs_at_once() -> None:
    """Who learns too late that the caller hung up still cleans up."""
    cleaned = trio.Event()

    async def cleanup() -> None:
        cleaned.set()

    async with running_stream() as (stream, peer):
        await peer.send(STOP)
        stream.add_cleanup_callback(cleanup)
        with trio.fail_after(1):
            await cleaned.wait()


async def test_failing_cleanup_is_logged_and_others_run(caplog: pytest.LogCaptureFixture) -> None:
    """Early or late, its error ends nothing."""
    cleaned: list[str] = []

    async def fail() -> None:
        raise ValueError("cleanup bug")

    async def cleanup() -> None:
        cleaned.append("clean")

    stream, peer = new_stream()
    for callback in (fail, cleanup, fail):
        stream.add_cleanup_callback(callback)
    await peer.send(start_text(), STOP)
    assert await stream.run() is StreamEnd.STOPPED
    assert cleaned == ["clean"]
    stream.add_cleanup_callback(fail)
    await let_run()
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 3


async def test_cleanup_gets_five_seconds(
    autojump_clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """One that hangs is given up, also under cancellation; the log tells."""
    stream, _ = new_stream()
    stream.add_cleanup_callback(trio.sleep_forever)
    with trio.move_on_after(1):
        await stream.run()
    assert trio.current_time() == pytest.approx(6.0)
    assert "cleanup took more than 5 s" in caplog.text
    stream.add_cleanup_callback(trio.sleep_forever)
    await trio.sleep(6)
    assert caplog.text.count("cleanup took") == 2


# Waiting for start.


async def test_wait_started() -> None:
    """It returns with `start`, and afterwards at once, also when the stream has ended."""
    async with running_stream(started=False) as (stream, peer):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.wait_started)
            await let_run()
            assert nursery.child_tasks
            await peer.send(start_text(client_state="c3RhdGU="))
        assert stream.start is not None
        assert stream.start.client_state == "c3RhdGU="
        await peer.send(STOP)
        with trio.testing.assert_checkpoints():
            await stream.wait_started()


@pytest.mark.parametrize("by_us", [False, True])
async def test_wait_started_raises_when_start_can_not_come(by_us: bool) -> None:
    """Broken if they ended it, closed if we did."""
    expected = trio.ClosedResourceError if by_us else trio.BrokenResourceError
    async with running_stream(started=False) as (stream, peer):

        async def wait() -> None:
            with pytest.raises(expected):
                await stream.wait_started()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await let_run()
            await (stream.close() if by_us else peer.send(STOP))
        with pytest.raises(expected):
            await stream.wait_started()


# Sending.


async def test_formats_are_kept_apart() -> None:
    """On a PCMA leg that takes PCMU, silence leaves as 0xFF."""
    async with running_stream(started=False) as (stream, peer):
        await peer.send(start_text("PCMA"))
        await stream.send_audio(silence(0.02))
        await let_run()
        assert peer.payloads == [b"\xff" * 160]
        assert stream.media_format.encoding == "PCMA"
        assert stream.send_format.encoding == "PCMU"
        assert peer.received[0][1]["stream_id"] == "stream-1"


async def test_audio_before_start_is_kept_then_the_sender_waits(autojump_clock: Clock) -> None:
    """2 s are taken, the rest waits; once `start` comes all of it is heard, in order."""
    samples = np.arange(-12000, 12000, dtype=np.int16)
    async with running_stream(started=False, lead=0.1) as (stream, peer):
        sent: list[int] = []

        async def send() -> None:
            for number in range(30):
                await stream.send_audio(pcm_of(samples[number * 800 : (number + 1) * 800]))
                sent.append(number)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            await trio.sleep(5)
            assert len(sent) == 20
            assert stream.statistics().audio_queued == pytest.approx(MAX_SEND_QUEUE)
            assert peer.payloads == []
            await peer.send(start_text())
        await trio.sleep(4)
        assert b"".join(peer.payloads) == pcm_to_pcmu(pcm_of(samples))


async def test_cancelled_send_queues_nothing() -> None:
    """Nor does it stand in the way of the next one."""
    async with running_stream(started=False) as (stream, _peer):
        await stream.send_audio(silence(2.0))
        with trio.move_on_after(0) as scope:
            await stream.send_audio(silence(1.0))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_audio, silence(1.0))
            await let_run()
            nursery.cancel_scope.cancel()
        assert scope.cancelled_caught
        assert stream.statistics().audio_queued == pytest.approx(2.0)


async def test_send_without_waiting(autojump_clock: Clock) -> None:
    """While there is room, in order with what waits; else nothing is queued."""
    async with running_stream(started=False, lead=10.0) as (stream, peer):
        stream.send_audio_nowait(silence(1.0))
        await stream.send_audio(silence(1.0))
        with pytest.raises(trio.WouldBlock):
            stream.send_audio_nowait(silence(0.02))
        await stream.clear()
        stream.send_audio_nowait(pcm_of(np.full(160, 4000, np.int16)))
        await peer.send(start_text())
        await trio.sleep(1)
        assert peer.payloads == [pcm_to_pcmu(pcm_of(np.full(160, 4000, np.int16)))]
    with pytest.raises(trio.BrokenResourceError):
        stream.send_audio_nowait(silence(0.02))


async def test_waiting_senders_get_their_turn_in_order(autojump_clock: Clock) -> None:
    """Whoever called first is heard first, however the scheduler shuffles them."""
    async with running_stream(started=False, lead=10.0) as (stream, peer):
        await stream.send_audio(silence(2.0))
        async with trio.open_nursery() as nursery:
            for value in range(1, 9):
                pcm = pcm_of(np.full(16000, value * 1000, np.int16))
                nursery.start_soon(stream.send_audio, pcm)
                await let_run()
            await peer.send(start_text())
            await trio.sleep(20)
    firsts = [payload[0] for payload in peer.payloads[100::100]]
    assert firsts == [pcm_to_pcmu(pcm_of(np.full(1, v * 1000, np.int16)))[0] for v in range(1, 9)]


async def test_five_seconds_leave_on_an_absolute_clock(autojump_clock: Clock) -> None:
    """The lead at once, then a packet every 20 ms, to the end."""
    async with running_stream(lead=0.4) as (stream, peer):
        began = trio.current_time()
        await stream.send_audio(silence(5.0))
        await trio.sleep(6)
    times = np.array(peer.media_times) - began
    assert len(times) == 250
    assert np.all(times[:20] == 0)
    assert times[20:] == pytest.approx(0.02 * np.arange(1, 231))


async def test_stall_of_the_loop_is_caught_up(mock_clock: Clock) -> None:
    """300 ms in which nothing ran leave no gap: what was due leaves at once, the rest in time."""
    mock_clock.autojump_threshold = 0
    async with running_stream(lead=0.4) as (stream, peer):
        began = trio.current_time()
        await stream.send_audio(silence(2.0))
        await trio.sleep(0.51)
        mock_clock.jump(0.3)
        await trio.sleep(1.5)
    times = np.array(peer.media_times) - began
    assert len(times) == 100
    due = np.maximum(0, 0.02 * (np.arange(100) - 19))
    assert np.all(times >= due - 1e-6)
    stalled = (due > 0.51) & (due < 0.81)
    assert np.sum(stalled) == 15
    assert times[stalled] == pytest.approx(0.81)
    assert times[~stalled] == pytest.approx(due[~stalled])


async def test_statistics_of_sending(autojump_clock: Clock) -> None:
    """What waits here, what has left, and what Telnyx has yet to play."""
    async with running_stream(lead=0.4) as (stream, _peer):
        await stream.send_audio(silence(1.0))
        await let_run()
        statistics = stream.statistics()
        assert statistics.packets_sent == 20
        assert statistics.playout_ahead == pytest.approx(0.4)
        assert statistics.audio_queued == pytest.approx(0.5)
        await trio.sleep(2)
        statistics = stream.statistics()
        assert (statistics.packets_sent, statistics.audio_queued) == (50, 0)
        assert statistics.playout_ahead == 0


async def test_odd_tail_is_padded_after_100_ms(autojump_clock: Clock) -> None:
    """Nothing short and nothing empty leaves."""
    async with running_stream() as (stream, peer):
        began = trio.current_time()
        await stream.send_audio(silence(0.0))
        await stream.send_audio(pcm_of(np.full(33, 1000, np.int16)))
        await trio.sleep(0.05)
        await stream.send_audio(silence(0.0))
        await trio.sleep(1)
    assert peer.media_times == pytest.approx([began + 0.1])
    assert peer.payloads[0][33:] == b"\xff" * 127


async def test_given_samples_are_copied() -> None:
    """The caller may reuse its array at once."""
    async with running_stream() as (stream, peer):
        samples = np.zeros(160, np.int16)
        await stream.send_audio(pcm_of(samples))
        samples[:] = 20000
        await let_run()
        assert peer.payloads == [SILENT_PACKET]


async def test_mark_follows_its_audio_and_comes_back(autojump_clock: Clock) -> None:
    """Behind all audio sent before, ahead of all that follows."""
    async with running_stream(lead=0.1) as (stream, peer):
        await stream.send_audio(silence(0.5))
        await stream.send_mark("half")
        await stream.send_audio(silence(0.1))
        await trio.sleep(2)
        assert peer.events == ["media"] * 25 + ["mark"] + ["media"] * 5
        await peer.send(mark_text("half"))
        assert stream.events.receive_nowait() == MarkReturned("half")


@pytest.mark.parametrize("name", ["", "\udc80"])
async def test_mark_needs_a_name(name: str) -> None:
    """One that can be sent; refused here, not in the send loop."""
    async with running_stream() as (stream, peer):
        with pytest.raises(LocalProtocolError):
            await stream.send_mark(name)
        await stream.send_mark("ok")
        await let_run()
        assert peer.events == ["mark"]


async def test_marks_that_wait_are_bounded() -> None:
    """The sender of the 1001st waits until one has left."""
    async with running_stream(started=False) as (stream, peer):
        for number in range(1000):
            await stream.send_mark(str(number))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_mark, "1000")
            await let_run()
            assert nursery.child_tasks
            await peer.send(start_text())
        await let_run()
        assert peer.events == ["mark"] * 1001


async def test_clear_leaves_at_once_and_drops_all(autojump_clock: Clock) -> None:
    """However long the queue: one `clear`, then nothing; marks come back as cleared."""
    async with running_stream(lead=0.4) as (stream, peer):
        await stream.send_audio(silence(60.0))
        await stream.send_mark("spoken")
        await trio.sleep(1)
        n_sent = len(peer.received)
        began = trio.current_time()
        await stream.clear()
        await trio.sleep(10)
        after = peer.received[n_sent:]
        assert [message["event"] for _, message in after] == ["mark", "clear"]
        assert {time for time, _ in after} == {began}
        assert stream.statistics().audio_queued == 0
        await peer.send(mark_text("spoken"))
        assert stream.events.receive_nowait() == MarkReturned("spoken", cleared=True)


async def test_new_audio_after_clear_is_heard_at_once(autojump_clock: Clock) -> None:
    """The lead is free again, and nothing of the old audio is mixed into the new."""
    async with running_stream(lead=0.4) as (stream, peer):
        await stream.send_audio(pcm_of(np.full(24000 * 3 + 7, 20000, np.int16), 24000))
        await trio.sleep(1)
        await stream.clear()
        began = trio.current_time()
        n_sent = len(peer.media_times)
        await stream.send_audio(silence(0.2, 24000))
        await stream.send_mark("end")
        await let_run()
        assert peer.media_times[n_sent:] == [began] * 10
        assert set(peer.payloads[n_sent:]) == {SILENT_PACKET}


async def test_clear_drops_audio_of_senders_that_wait() -> None:
    """They return as if it had been played; what they send next is new."""
    async with running_stream(started=False) as (stream, peer):
        await stream.send_audio(silence(2.0))
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(stream.send_audio, silence(5.0))
            await let_run()
            await stream.clear()
        assert stream.statistics().audio_queued == 0
        await stream.send_audio(silence(0.02))
        await peer.send(start_text())
        assert peer.events == ["clear", "media"]


async def test_cancelled_clear_takes_effect() -> None:
    """A barge-in that is cancelled in that moment has still stopped playback."""
    async with running_stream() as (stream, peer):
        with trio.CancelScope() as scope:
            scope.cancel()
            await stream.clear()
        assert scope.cancelled_caught
        await let_run()
        assert peer.events == ["clear"]


async def test_sending_after_the_end_raises() -> None:
    """Broken when they ended it; and a sender that waits learns it."""
    async with running_stream(started=False) as (stream, peer):
        await stream.send_audio(silence(2.0))

        async def send() -> None:
            with pytest.raises(trio.BrokenResourceError):
                await stream.send_audio(silence(0.1))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            nursery.start_soon(send)
            await let_run()
            await peer.send(STOP)
        for use in (stream.clear, lambda: stream.send_mark("m"), send):
            if use is send:
                await use()
            else:
                with pytest.raises(trio.BrokenResourceError):
                    await use()


# One writer.


class SlowWebSocket(MemoryWebSocket):
    """Sends take until they are released, and it is noted how they end."""

    began: int
    done: int
    cut: int
    concurrent: int
    gate: trio.Event

    async def send_text(self, text: str) -> None:
        assert self.began == self.done + self.cut, "two writers"
        self.began += 1
        try:
            await self.gate.wait()
        except trio.Cancelled:
            self.cut += 1
            raise
        self.done += 1
        await super().send_text(text)


async def test_nothing_interrupts_a_message_while_the_stream_lives(autojump_clock: Clock) -> None:
    """Neither `clear` nor a cancelled sender nor the pacing timer: only the end of the stream."""
    client, server = memory_websocket_pair()
    server.__class__ = SlowWebSocket
    assert isinstance(server, SlowWebSocket)
    server.began = server.done = server.cut = 0
    server.gate = trio.Event()
    stream = MediaStream(server)
    peer = StreamPeer(client)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.run)
        nursery.start_soon(peer.record)
        await peer.send(start_text())
        with trio.move_on_after(0.5):
            while True:
                await stream.send_audio(silence(0.5))
        assert (server.began, server.done) == (1, 0)
        await stream.clear()
        await stream.send_mark("after")
        for _ in range(25):
            await client.send_text(media_text())
            await trio.sleep(1)
        assert (server.began, server.done, server.cut) == (1, 0, 0)
        assert stream.statistics().packets_received == 25
        server.gate.set()
        await let_run()
        assert peer.events == ["media", "clear", "mark"]
        assert server.cut == 0
        server.gate = trio.Event()
        await stream.send_audio(silence(0.1))
        await let_run()
        await stream.close()
        assert server.cut == 1


# Receiving.


async def test_media_never_waits_for_readers() -> None:
    """With nobody reading audio or events, all is taken; the newest is kept, the loss counted."""
    async with running_stream(track="both") as (stream, peer):
        for number in range(600):
            await peer.websocket.send_text(media_text(chunk=number))
            await peer.websocket.send_text(media_text(chunk=number, track="outbound"))
            await peer.websocket.send_text(mark_text(str(number)))
        await let_run()
        statistics = stream.statistics()
        assert statistics.messages_received == 1801
        assert statistics.packets_received == 1200
        assert statistics.audio_dropped == 200
        assert statistics.audio_buffered == pytest.approx(20.0)
        assert statistics.events_dropped == 600 - 256


async def test_malformed_and_refused_messages_are_survived() -> None:
    """They are counted; audio goes on."""
    async with running_stream() as (stream, peer):
        await peer.send("no json", '{"event":null}', start_text("L16"), media_text())
        statistics = stream.statistics()
        assert (statistics.malformed, statistics.refused) == (2, 1)
        assert statistics.packets_received == 1
        assert stream.media_format.encoding == "PCMU"
        assert stream.is_connected


async def test_codecs_are_freed_with_the_stream() -> None:
    """What libraries hold for a call goes with its stream, though that can still be asked."""

    def codecs() -> int:
        return sum(type(thing).__name__ == "AudioCodecContext" for thing in gc.get_objects())

    gc.collect()
    before = codecs()
    stream, peer = new_stream(track="both", send_format=TelnyxMediaFormat("G722", 8000))
    await peer.send(start_text("OPUS", 48000))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.run)
        await stream.send_audio(pcm_of(np.zeros(1600, np.int16)))
        await let_run()
        assert codecs() == before + 3
        await peer.send(STOP)
    assert codecs() == before
    assert stream.statistics().packets_sent > 0


async def test_agent_can_read_until_the_caller_hangs_up() -> None:
    """The ordinary loop: `async for` sees each packet and ends with the stream."""
    got: list[int] = []
    async with running_stream(started=False) as (stream, peer):

        async def agent() -> None:
            async for pcm in stream.audio_track:
                got.append(pcm.n_samples)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(agent)
            await peer.send(start_text(), media_text(), media_text(b"\xff" * 80), STOP)
    assert got == [160, 80]


# L16.


@pytest.mark.parametrize(
    ("received", "asked", "sent"),
    [
        ("big", "auto", "big"),
        ("little", "auto", "little"),
        (None, "auto", "little"),
        (None, "big", "big"),
        (None, "little", "little"),
        ("little", "big", "big"),
    ],
)
async def test_sent_byteorder(
    received: ByteOrder | None, asked: WireByteOrder, sent: ByteOrder, autojump_clock: Clock
) -> None:
    """It follows what is received, else it is little; a fixed order is obeyed. It is reported."""
    l16 = TelnyxMediaFormat("L16", 16000)
    voice = pcm_of((8000 * np.sin(np.arange(320) / 8)).astype(np.int16), 16000)
    async with running_stream(started=False, send_format=l16, byteorder=asked) as (stream, peer):
        await peer.send(start_text("L16", 16000))
        if received is not None:
            await peer.send(*[media_text(pcm_to_l16(voice, byteorder=received))] * 12)
        await stream.send_audio(voice)
        await trio.sleep(BYTEORDER_PATIENCE + 0.01)
        assert peer.payloads == [pcm_to_l16(voice, byteorder=sent)]
        statistics = stream.statistics()
        assert statistics.send_byteorder == sent
        assert statistics.receive_byteorder == (received if asked == "auto" else asked)
        assert statistics.receive_byteorder_locked == (received is not None or asked != "auto")


async def test_first_l16_waits_a_little_for_a_sign_of_the_order(autojump_clock: Clock) -> None:
    """Given before anything was heard, it leaves in the order of what is heard within 200 ms."""
    l16 = TelnyxMediaFormat("L16", 16000)
    faint = pcm_of((4 * np.sin(np.arange(320) / 8)).round().astype(np.int16), 16000)
    async with running_stream(started=False, send_format=l16) as (stream, peer):
        await peer.send(start_text("L16", 16000))
        await stream.send_audio(faint)
        await trio.sleep(BYTEORDER_PATIENCE / 2)
        assert peer.payloads == []
        await peer.send(media_text(pcm_to_l16(faint, byteorder="big")))
        await let_run()
        assert peer.payloads == [pcm_to_l16(faint, byteorder="big")]


async def test_l16_is_sent_little_when_another_codec_is_received() -> None:
    """Then there is nothing to follow."""
    async with running_stream(send_format=TelnyxMediaFormat("L16", 16000)) as (stream, peer):
        await stream.send_audio(pcm_of(np.full(320, 258, np.int16), 16000))
        await stream.send_audio(pcm_of(np.full(320, 1, np.int16), 16000))
        await let_run()
        assert peer.payloads[1] == b"\x01\x00" * 320
        assert stream.statistics().receive_byteorder is None


# Deadlines.


async def test_start_must_come_in_time(autojump_clock: Clock) -> None:
    """Counted from acceptance, also when `run` comes later."""
    stream, _ = new_stream()
    await stream.accept()
    await trio.sleep(4)
    with pytest.raises(MediaTimeout, match="no start for 10 s") as caught:
        await stream.run()
    assert trio.current_time() == pytest.approx(START_TIMEOUT, abs=0.1)
    assert (caught.value.waited_for, caught.value.timeout) == ("start", START_TIMEOUT)


async def test_start_deadline_counts_from_the_answer(autojump_clock: Clock) -> None:
    """A call that rings for a minute is not dead."""
    answered = trio.Event()
    stream, _ = new_stream(answered=answered, start_timeout=5.0)
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def run() -> None:
            with pytest.raises(MediaTimeout):
                await stream.run()

        await trio.sleep(60)
        assert stream.is_connected
        answered.set()
        await trio.sleep(4.9)
        assert stream.is_connected
    assert trio.current_time() == pytest.approx(65, abs=0.1)


async def test_answer_before_run_gives_the_whole_time(autojump_clock: Clock) -> None:
    """When exactly it was answered is not known then; a live call must not be given up early."""
    answered = trio.Event()
    stream, _ = new_stream(answered=answered)
    await stream.accept()
    await trio.sleep(50)
    answered.set()
    with pytest.raises(MediaTimeout):
        await stream.run()
    assert trio.current_time() == pytest.approx(60, abs=0.1)


async def test_start_in_time_is_in_time(autojump_clock: Clock) -> None:
    """Just before the deadline."""
    async with running_stream(started=False) as (stream, peer):
        await trio.sleep(START_TIMEOUT - 0.1)
        await peer.send(start_text())
        await trio.sleep(5)
        assert stream.is_connected


@pytest.mark.parametrize("peer_answers", [True, False])
async def test_silence_ends_the_stream_after_a_ping(
    peer_answers: bool, autojump_clock: Clock
) -> None:
    """30 s without a media message, marks or not; the error says whether the peer is there."""
    stream, peer = new_stream()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def run() -> None:
            with pytest.raises(MediaTimeout) as caught:
                await stream.run()
            assert caught.value.waited_for == "media"
            assert caught.value.peer_answers is peer_answers

        await peer.send(start_text())
        await trio.sleep(10)
        await peer.send(mark_text("no media"))
        if not peer_answers:
            peer.websocket.stall()
    # A peer that does not answer makes the close wait its second, too.
    assert SILENCE_TIMEOUT <= trio.current_time() <= SILENCE_TIMEOUT + 1


async def test_peer_is_pinged_once_it_is_silent(autojump_clock: Clock) -> None:
    """5 s before the deadline, and not while media come."""
    pinged: list[float] = []

    class PingWatcher(MemoryWebSocket):
        async def ping(self) -> None:
            pinged.append(trio.current_time())
            await super().ping()

    client, server = memory_websocket_pair()
    server.__class__ = PingWatcher
    stream = MediaStream(server)
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def run() -> None:
            with pytest.raises(MediaTimeout):
                await stream.run()

        await client.send_text(start_text())
        for _ in range(6):
            await trio.sleep(10)
            await client.send_text(media_text())
    assert pinged == [85.0]
    assert trio.current_time() == pytest.approx(90, abs=0.1)


async def test_media_after_the_ping_resets_the_silence(autojump_clock: Clock) -> None:
    """Also at the last moment."""
    async with running_stream() as (stream, peer):
        for _ in range(4):
            await trio.sleep(SILENCE_TIMEOUT - 1)
            await peer.send(media_text())
        assert stream.is_connected


async def test_other_tracks_and_late_packets_are_not_silence(autojump_clock: Clock) -> None:
    """Any media message will do."""
    async with running_stream() as (stream, peer):
        await peer.send(media_text(chunk=5))
        for text in (media_text(track="outbound"), media_text(chunk=5), media_text(chunk=4)) * 2:
            await trio.sleep(20)
            await peer.send(text)
        assert stream.is_connected


# Missing media.


async def test_missing_media_are_given_up_though_nothing_follows(autojump_clock: Clock) -> None:
    """What waits for one that is lost is handed out in time, behind what is made up."""
    async with running_stream() as (stream, peer):
        await peer.send(media_text(chunk=1), media_text(chunk=3))
        assert stream.audio_track.statistics().buffered == 1
        statistics = stream.statistics()
        assert statistics.audio_held == pytest.approx(0.02)
        begun = trio.current_time()
        got = [await stream.audio_track.receive() for _ in range(3)]
        assert trio.current_time() - begun == pytest.approx(statistics.reorder_patience)
        assert [pcm.n_samples for pcm in got] == [160] * 3
        statistics = stream.statistics()
        assert (statistics.missing, statistics.concealed, statistics.audio_held) == (1, 1, 0)
        # The task that did so is gone, and comes again.
        await trio.sleep(1)
        await peer.send(media_text(chunk=5), media_text(chunk=4), media_text(chunk=7))
        await trio.sleep(1)
        assert stream.statistics().missing == 2
        assert stream.audio_track.statistics().buffered == 4


async def test_media_that_wait_do_not_outlive_the_stream(autojump_clock: Clock) -> None:
    """Cancelled while something is missing: what waited is handed out, and nothing is left."""
    async with running_stream() as (stream, peer):
        await peer.send(media_text(chunk=1), media_text(chunk=3))
        await stream.close()
        assert [pcm.n_samples async for pcm in stream.audio_track] == [160] * 3


# Odds and ends.


def test_impossible_options_are_refused() -> None:
    """When it is made."""
    websocket = memory_websocket_pair()[1]
    wrong: list[dict[str, Any]] = [
        {"track": "left"},
        {"byteorder": "middle"},
        {"lead": -1.0},
        {"missing_audio": "none"},
    ]
    for options in wrong:
        with pytest.raises(ValueError, match=next(iter(options))):
            MediaStream(websocket, **options)
    with pytest.raises(UnsupportedEncoding):
        MediaStream(websocket, send_format=TelnyxMediaFormat("AMR-WB", 16000))
    with pytest.raises(LocalProtocolError):
        MediaStream(websocket, send_format=TelnyxMediaFormat("PCMU", 8000, 2))
    with pytest.raises(TypeError):
        MediaStream(object())


async def test_repr_tells_state_and_ids() -> None:
    """And nothing else."""
    stream, peer = new_stream()
    assert repr(stream) == "<MediaStream new stream_id=None call_control_id=None>"
    await peer.send(start_text(), STOP)
    await stream.run()
    assert repr(stream) == "<MediaStream ended stream_id='stream-1' call_control_id='v3:abc'>"


async def test_async_methods_are_checkpoints() -> None:
    """Also when there is nothing to wait for."""
    async with running_stream() as (stream, _peer):
        for use in (
            stream.accept,
            stream.wait_started,
            stream.clear,
            lambda: stream.send_audio(silence(0.02)),
            lambda: stream.send_audio(silence(0.0)),
            lambda: stream.send_mark("m"),
        ):
            with trio.testing.assert_checkpoints():
                await use()


def test_statistics_can_be_read_outside_of_trio() -> None:
    """Before and after the run."""
    client, server = memory_websocket_pair()
    stream = MediaStream(server)
    assert stream.statistics().packets_received == 0

    async def main() -> None:
        await client.send_text(start_text())
        await stream.send_audio(silence(0.02))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.run)
            message = json.loads(await client.receive_text())
            assert len(b64decode(message["media"]["payload"])) == 160
            await client.send_text(STOP)

    trio.run(main)
    statistics = stream.statistics()
    assert (statistics.packets_sent, statistics.playout_ahead) == (1, 0)
