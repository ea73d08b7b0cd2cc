"""Packets that pass undecoded."""

from __future__ import annotations

import numpy as np
import pytest
import trio
from scenarios import CALLEE, open_memory_world
from stream_peer import STOP, media_text, running_stream
from trio.testing import MockClock

from telnyx_trio import CallEnded, LocalProtocolError, PcmData, pcm_to_pcmu
from telnyx_trio.testing import Phone

TONE = PcmData(8000, samples=(9000 * np.sin(np.arange(1600) / 3)).astype(np.int16))
PACKETS = [pcm_to_pcmu(TONE)[start : start + 160] for start in range(0, 1600, 160)]


async def test_packets_come_as_they_were(autojump_clock: MockClock) -> None:
    """In order, also when they came out of it; audio resumes when they are closed."""
    async with running_stream() as (stream, telnyx):
        packets = stream.received_packets
        assert stream.received_packets is packets
        for n in (0, 2, 1, 3):
            await telnyx.send(media_text(PACKETS[n], chunk=n + 1))
        assert [await packets.receive() for _ in range(4)] == PACKETS[:4]
        assert stream.statistics().audio_buffered == 0
        assert stream.statistics().packets_received == 4
        await packets.aclose()
        await telnyx.send(media_text(PACKETS[4], chunk=5))
        pcm = await stream.audio_track.receive()
        assert pcm_to_pcmu(pcm) == PACKETS[4]
        again = stream.received_packets
        await telnyx.send(media_text(PACKETS[5], chunk=6), STOP)
        assert [payload async for payload in again] == [PACKETS[5]]
        assert [payload async for payload in stream.received_packets] == []


async def test_detectors_hear_what_passes(autojump_clock: MockClock) -> None:
    """Who listens for tones or voices goes on to, though nobody gets the audio."""
    phone = Phone(dtmf_report="in_band", digits=[(0.3, "7")])
    async with open_memory_world(call={"in_band_dtmf": True}) as world:
        world.carrier.default_phone = phone
        async with world.server.dial(to=CALLEE) as call:
            packets = call.received_packets
            before = call.received.statistics().buffered
            assert (await call.gather_digits(1)).digits == "7"
            assert packets.statistics().buffered > 15
            assert call.received.statistics().buffered == before


async def test_packets_are_sent_as_they_are_in_order(autojump_clock: MockClock) -> None:
    """Between audio of other kinds, and told of by marks."""
    async with open_memory_world() as world, world.server.dial(to=CALLEE) as call:
        (leg,) = world.carrier.legs
        await call.send(PcmData(8000, samples=np.full(100, 5000, np.int16)))
        for payload in PACKETS:
            await call.send_packet(payload)
        await (await call.play(PcmData(8000, samples=np.full(160, 7000, np.int16)))).done()
        (_, heard), _ = leg.recording()
        loud = np.flatnonzero(heard)
        heard = heard[loud[0] :]
        assert (abs(heard[:100].astype(int) - 5000) < 200).all()
        assert not heard[100:160].any()
        assert pcm_to_pcmu(PcmData(8000, samples=heard[160:1760])) == b"".join(PACKETS)
        assert (abs(heard[1760:1920].astype(int) - 7000) < 200).all()


async def test_packets_of_another_size_are_refused(autojump_clock: MockClock) -> None:
    """Nothing is sent of them."""
    async with open_memory_world() as world, world.server.dial(to=CALLEE) as call:
        for payload in (b"", bytes(159), bytes(320)):
            with pytest.raises(LocalProtocolError, match="160 bytes"):
                await call.send_packet(payload)
        assert call.stream.statistics().packets_sent == 0
        await call.hangup()
        with pytest.raises(CallEnded):
            await call.send_packet(PACKETS[0])
    async with open_memory_world(send_mode="mp3") as world, world.server.dial(to=CALLEE) as call:
        with pytest.raises(LocalProtocolError, match="MP3"):
            await call.send_packet(PACKETS[0])
        with pytest.raises(LocalProtocolError, match="MP3"):
            call.send_nowait(TONE)


async def test_sender_of_packets_waits_for_room(autojump_clock: MockClock) -> None:
    """At two seconds; cancelled, the packet was not queued."""
    async with open_memory_world() as world, world.server.dial(to=CALLEE) as call:
        began_at = trio.current_time()
        for _ in range(150):
            await call.send_packet(PACKETS[0])
        assert trio.current_time() - began_at == pytest.approx(0.6, abs=0.1)
        with trio.move_on_after(0):
            await call.send_packet(PACKETS[1])
        with pytest.raises(trio.WouldBlock):
            call.send_packet_nowait(PACKETS[1])
        await call.drain()
        assert call.stream.statistics().packets_sent == 150
        call.send_packet_nowait(PACKETS[1])
        call.send_nowait(TONE)
        await call.drain()
        assert call.stream.statistics().packets_sent == 161
        await call.hangup()
        with pytest.raises(CallEnded):
            call.send_packet_nowait(PACKETS[1])
        with pytest.raises(CallEnded):
            call.send_nowait(TONE)
