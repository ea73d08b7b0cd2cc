"""What users of the Vision Agents plugin rely on, as its own tests and its page have it.

The fake WebSocket has only what the plugin asks of one, and accept and run happen in separate runs
of the event loop, as there. Where our behaviour differs by intent, the test says so.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import numpy as np
import pytest
import trio
from stream_peer import SILENT_PACKET, STOP, media_text, start_text

import telnyx_trio as telnyx
from telnyx_trio.testing import memory_websocket_pair

CONNECTED = json.dumps({"event": "connected", "version": "1.0.0"})


class FakeWebSocket:
    """A script of messages; says no more than the plugin's protocol does."""

    def __init__(self, messages: list[str]) -> None:
        self.messages = list(messages)
        self.accepted = False
        self.sent: list[Any] = []
        self.sending_until: trio.Event | None = None

    async def accept(self) -> None:
        self.accepted = True

    async def receive_text(self) -> str:
        if not self.messages:
            raise RuntimeError("no more messages")
        if self.messages[0] == STOP and self.sending_until is not None:
            await self.sending_until.wait()
        return self.messages.pop(0)

    async def send_json(self, data: Any) -> None:
        self.sent.append(data)
        if self.sending_until is not None:
            self.sending_until.set()


async def read(track: telnyx.AudioTrack) -> list[telnyx.PcmData]:
    """All audio of a stream that has ended."""
    return [pcm async for pcm in track]


def test_names_of_the_plugin() -> None:
    """All that it exports, but for the bridge to Stream, under the same names."""
    names = """
        CallRegistry MediaStream PcmData TELNYX_DEFAULT_SAMPLE_RATE TELNYX_L16_SAMPLE_RATE
        TelnyxCall TelnyxCallRegistry TelnyxMediaFormat TelnyxMediaStream l16_to_pcm pcm_to_l16
        pcm_to_pcma pcm_to_pcmu pcm_to_telnyx_payload pcma_to_pcm pcmu_to_pcm telnyx_payload_to_pcm
    """
    for name in names.split():
        assert getattr(telnyx, name) is not None
    assert telnyx.TelnyxCallRegistry is telnyx.CallRegistry
    assert telnyx.TelnyxMediaStream is telnyx.MediaStream


def test_create_call() -> None:
    """A call reads its numbers and state from the webhook."""
    webhook_data = {
        "data": {
            "payload": {
                "call_control_id": "v2:abc123",
                "from": "+1234567890",
                "to": "+10987654321",
                "state": "answered",
            }
        }
    }
    call = telnyx.TelnyxCall(call_control_id="v2:abc123", webhook_data=webhook_data)
    assert call.call_control_id == "v2:abc123"
    assert call.from_number == "+1234567890"
    assert call.to_number == "+10987654321"
    assert call.call_status == "answered"
    assert call.ended_at is None


def test_end_call() -> None:
    """Ending notes the time."""
    call = telnyx.TelnyxCall(call_control_id="v2:abc123")
    assert call.ended_at is None
    call.end()
    assert isinstance(call.ended_at, datetime)


def test_registry_create_get_remove() -> None:
    """A call is found, its token is valid, and removing ends it."""
    registry = telnyx.TelnyxCallRegistry()
    call = registry.create("v2:abc123")
    assert registry.get("v2:abc123") is call
    assert registry.validate("v2:abc123", call.token) is call
    removed = registry.remove("v2:abc123")
    assert removed is call
    assert removed.ended_at is not None
    assert registry.get("v2:abc123") is None


def test_registry_list_active() -> None:
    """Removed calls are not listed."""
    registry = telnyx.TelnyxCallRegistry()
    registry.create("v2:one")
    registry.create("v2:two")
    registry.remove("v2:two")
    active = registry.list_active()
    assert len(active) == 1
    assert active[0].call_control_id == "v2:one"


def test_media_stream_run_writes_audio() -> None:
    """One media message is one piece of audio on the track."""
    websocket = FakeWebSocket([CONNECTED, start_text(), media_text(), STOP])
    stream = telnyx.TelnyxMediaStream(websocket)
    track = stream.audio_track
    trio.run(stream.accept)
    assert stream.is_connected
    trio.run(stream.run)
    assert websocket.accepted is True
    assert stream.stream_id == "stream-1"
    assert stream.call_control_id == "v3:abc"
    assert stream.is_connected is False
    (pcm,) = trio.run(read, track)
    assert pcm.sample_rate == 8000
    assert pcm.samples.tolist() == [0] * 160


def test_media_stream_send_audio_before_start_sends_nothing() -> None:
    """As in the plugin; but the audio is kept, and leaves once `start` has come."""
    websocket = FakeWebSocket([])
    stream = telnyx.TelnyxMediaStream(websocket)
    trio.run(stream.accept)
    trio.run(stream.send_audio, telnyx.pcmu_to_pcm(SILENT_PACKET))
    assert websocket.sent == []
    websocket.messages = [start_text(), STOP]

    async def run() -> None:
        websocket.sending_until = trio.Event()
        await stream.run()

    trio.run(run)
    assert [message["event"] for message in websocket.sent] == ["media"]


def test_media_stream_send_audio_after_start() -> None:
    """A media message leaves by `send_json`."""
    websocket = FakeWebSocket([start_text(), STOP])
    stream = telnyx.TelnyxMediaStream(websocket)

    async def main() -> None:
        websocket.sending_until = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.run)
            await stream.wait_started()
            await stream.send_audio(telnyx.pcmu_to_pcm(SILENT_PACKET))

    trio.run(main)
    assert websocket.sent[0]["event"] == "media"
    assert websocket.sent[0]["media"]["payload"] == json.loads(media_text())["media"]["payload"]


def test_media_stream_start_changes_the_format() -> None:
    """The track tells the new format; unlike in the plugin it is the same object all along."""
    websocket = FakeWebSocket([start_text("L16", 16000), STOP])
    stream = telnyx.TelnyxMediaStream(websocket)
    original_track = stream.audio_track
    assert original_track.sample_rate == 8000
    trio.run(stream.accept)
    trio.run(stream.run)
    assert stream.media_format.encoding == "L16"
    assert stream.media_format.sample_rate == 16000
    assert stream.audio_track is original_track
    assert (original_track.sample_rate, original_track.channels) == (16000, 1)
    assert original_track.format == "s16"


def test_media_stream_runs_cleanup_callbacks_on_close() -> None:
    """Also when nothing but `stop` comes."""
    ran = []

    async def cleanup() -> None:
        ran.append(True)

    websocket = FakeWebSocket([STOP])
    stream = telnyx.TelnyxMediaStream(websocket)
    stream.add_cleanup_callback(cleanup)
    trio.run(stream.accept)
    trio.run(stream.run)
    assert ran == [True]


def test_media_stream_end_without_stop_is_an_error() -> None:
    """The plugin returned as if all were well; here a lost socket can be told from a hangup."""
    stream = telnyx.TelnyxMediaStream(FakeWebSocket([start_text()]))
    with pytest.raises(trio.BrokenResourceError):
        trio.run(stream.run)


def test_media_format_from_start_event() -> None:
    """Missing and null fields are the defaults."""
    read_format = telnyx.TelnyxMediaFormat.from_start_event
    assert read_format({}) == telnyx.TelnyxMediaFormat("PCMU", 8000, 1)
    assert read_format({"start": {"media_format": None}}) == telnyx.TelnyxMediaFormat()
    assert read_format(json.loads(start_text("l16", 16000))).encoding == "L16"


async def test_usage_of_the_plugins_page() -> None:
    """The block of the plugin's page, with a socket on which Telnyx says `stop` in the end."""
    client, websocket = memory_websocket_pair()
    for text in (CONNECTED, start_text(), media_text(), STOP):
        await client.send_text(text)

    # Create a call registry to track active calls
    registry = telnyx.CallRegistry()

    # Register a call from your Telnyx webhook handler
    call = registry.create(
        call_control_id="v2:abc123",
        webhook_data={"data": {"payload": {"from": "+15551234567"}}},
    )

    # Create a media stream for the WebSocket connection
    stream = telnyx.MediaStream(websocket)
    await stream.accept()

    # Associate stream with call
    call.telnyx_stream = stream

    # Run the stream until Telnyx sends a stop event
    await stream.run()

    assert call.from_number == "+15551234567"
    assert len(registry) == 1
    assert registry.require("v2:abc123") is registry.validate("v2:abc123", call.token)


# Audio conversion.


def pcm(samples: list[int], sample_rate: int = 8000) -> telnyx.PcmData:
    """With the keywords that the plugin's tests use."""
    return telnyx.PcmData(
        samples=np.array(samples, dtype=np.int16),
        sample_rate=sample_rate,
        channels=1,
        format="s16",
    )


def test_pcmu_to_pcm() -> None:
    """Both zeros and both extremes."""
    decoded = telnyx.pcmu_to_pcm(bytes([0xFF, 0x7F, 0x00, 0x80]))
    assert decoded.sample_rate == telnyx.TELNYX_DEFAULT_SAMPLE_RATE
    assert decoded.channels == 1
    assert decoded.samples.tolist() == [0, 0, -32124, 32124]


def test_pcm_to_pcmu() -> None:
    """A byte a sample."""
    assert telnyx.pcm_to_pcmu(pcm([0, 1000, -1000, 16000])) == bytes([0xFF, 0xCE, 0x4E, 0x90])


def test_pcma_to_pcm() -> None:
    """Both smallest values."""
    decoded = telnyx.pcma_to_pcm(bytes([0xD5, 0x55]))
    assert decoded.sample_rate == telnyx.TELNYX_DEFAULT_SAMPLE_RATE
    assert decoded.samples.tolist() == [8, -8]


def test_pcm_to_pcma() -> None:
    """A byte a sample."""
    assert telnyx.pcm_to_pcma(pcm([0, 1000, -1000, 16000])) == bytes([0xD5, 0xFA, 0x7A, 0xBA])


def test_l16_both_ways() -> None:
    """Big-endian at 16 kHz."""
    payload = b"\x00\x00\x7f\xff\x80\x00"
    decoded = telnyx.l16_to_pcm(payload)
    assert decoded.sample_rate == telnyx.TELNYX_L16_SAMPLE_RATE
    assert decoded.channels == 1
    assert decoded.samples.tolist() == [0, 32767, -32768]
    assert telnyx.pcm_to_l16(pcm([0, 32767, -32768], 16000)) == payload


def test_payload_helpers() -> None:
    """One byte there and back."""
    decoded = telnyx.telnyx_payload_to_pcm(bytes([0xFF]), "PCMU")
    assert telnyx.pcm_to_telnyx_payload(decoded, "PCMU") == b"\xff"
