"""Commands that play, record, gather, connect and detect, with their webhooks."""

from __future__ import annotations

import base64
import io
from typing import Any

import httpx
import numpy as np
import pytest
import trio
from testing.echo_server import RTP, EchoServer, open_pair
from trio.testing import MockClock

from telnyx_trio._types import Encoding
from telnyx_trio.testing import (
    Carrier,
    CarrierSettings,
    Leg,
    MemoryTransport,
    Phone,
    open_carrier,
    read_wav,
    write_wav,
)
from telnyx_trio.testing._audio_files import CHARACTER_TIME, tone
from telnyx_trio.testing._mp3 import encode_mp3

OUR_NUMBER = "+15550100002"
THEIR_NUMBER = "+15550100003"


def wav(duration: float, frequency: float = 500.0) -> bytes:
    samples, rate = tone(frequency, duration)
    file = io.BytesIO()
    write_wav(file, samples[None, :], rate)
    return file.getvalue()


def encoded(duration: float, frequency: float = 500.0) -> str:
    return base64.b64encode(wav(duration, frequency)).decode()


async def answered(carrier: Carrier, server: EchoServer, phone: Phone | None = None) -> Leg:
    """An inbound call that is answered, without a media stream."""
    server.answer_fields = None
    leg = await carrier.call_in(to=OUR_NUMBER, phone=phone)
    assert (await act(server, leg, "answer")).status_code == 200
    return leg


async def act(server: EchoServer, leg: Leg, action: str, **fields: Any) -> httpx.Response:
    return await server.act(leg.names.call_control_id, action, **fields)


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["errors"][0]["code"]


def told(server: EchoServer, *prefixes: str) -> list[tuple[str, Any]]:
    """Type and status, result or digits of the events of these kinds, in order."""
    return [
        (kind, payload.get("status") or payload.get("result"))
        for kind, payload in server.events
        if kind.startswith(prefixes)
    ]


def voiced(leg: Leg, row: int) -> list[tuple[float, float]]:
    """Where there is sound, in seconds, gaps of up to 50 ms joined."""
    samples, rate = leg.recording()
    loud = np.flatnonzero(np.abs(samples[row].astype(int)) > 400) / rate
    if not loud.size:
        return []
    breaks = np.flatnonzero(np.diff(loud) > 0.05)
    starts = [loud[0], *loud[breaks + 1]]
    return [
        (round(float(start), 1), round(float(end), 1))
        for start, end in zip(starts, [*loud[breaks], loud[-1]], strict=True)
    ]


def strength(leg: Leg, row: int, frequency: float, start: float, stop: float) -> float:
    """Amplitude of one frequency in a part of the recording."""
    samples, rate = leg.recording()
    part = samples[row][round(start * rate) : round(stop * rate)].astype(float)
    wave = np.exp(-2j * np.pi * frequency * np.arange(part.size) / rate)
    return float(2 * np.abs(part @ wave) / part.size)


async def test_speak_takes_as_long_as_its_text(autojump_clock: MockClock) -> None:
    """Heard at the phone, between its two webhooks; client_state is the command's."""
    async with open_pair() as (carrier, server):
        leg = await answered(carrier, server)
        started_at = trio.current_time()
        text = "<speak>" + "a" * 40 + "</speak>"
        await act(server, leg, "speak", payload=text, voice="female", client_state="Yg==")
        ended = await server.wait_for_event("call.speak.ended")
        assert trio.current_time() == pytest.approx(started_at + 40 * CHARACTER_TIME)
        assert ended["client_state"] == "Yg=="
        assert told(server, "call.speak") == [
            ("call.speak.started", None),
            ("call.speak.ended", "completed"),
        ]
        ((start, _), *_), (*_, (_, end)) = voiced(leg, 1), voiced(leg, 1)
    assert start < 0.4
    assert 2.0 < end <= 2.7


async def test_announcements_wait_for_each_other(autojump_clock: MockClock) -> None:
    """One after the other, looped ones as often as asked; an overlay is heard besides."""
    async with open_pair() as (carrier, server):
        leg = await answered(carrier, server)
        await act(server, leg, "playback_start", playback_content=encoded(0.5), loop=2)
        await act(server, leg, "playback_start", playback_content=encoded(1, 900))
        overlay = {"playback_content": encoded(0.5, 1300), "overlay": True}
        await act(server, leg, "playback_start", **overlay)
        await trio.sleep(3)
        events = told(server, "call.playback")
        assert [status for _, status in events].count("completed") == 3
        assert [kind.rpartition(".")[2] for kind, _ in events] == [
            "started",
            "started",
            "ended",
            "ended",
            "started",
            "ended",
        ]
    assert voiced(leg, 1) == [(0.0, 2.0)]
    assert strength(leg, 1, 500, 0.0, 1.0) > 6000
    assert strength(leg, 1, 1300, 0.0, 0.5) > 6000
    assert strength(leg, 1, 900, 1.0, 2.0) > 6000
    assert strength(leg, 1, 500, 1.0, 2.0) < 100


async def test_playback_is_stopped(autojump_clock: MockClock) -> None:
    """The current one and the next begins; all of them; by a new command with stop."""
    async with open_pair() as (carrier, server):
        leg = await answered(carrier, server)
        endless = {"playback_content": encoded(0.5), "loop": "infinity"}
        await act(server, leg, "playback_start", **endless)
        await act(server, leg, "playback_start", **endless)
        await trio.sleep(1.2)
        await act(server, leg, "playback_stop", stop="current")
        await trio.sleep(1)
        assert voiced(leg, 1) == [(0.0, 2.2)]
        await act(server, leg, "playback_start", **endless)
        await act(server, leg, "speak", payload="Hello there", voice="female", stop="all")
        await server.wait_for_event("call.speak.ended")
        await act(server, leg, "playback_stop")
        await trio.sleep(1)
        assert (
            told(server, "call.playback")
            == [
                ("call.playback.started", None),
                ("call.playback.ended", "cancelled"),
            ]
            * 2
        )
        await act(server, leg, "playback_start", **endless)
        await trio.sleep(1)
        await leg.hang_up()
        await server.wait_for_event("call.hangup")
        assert told(server, "call.playback")[-1] == ("call.playback.ended", "call_hangup")


async def test_overlays_are_stopped_apart(autojump_clock: MockClock) -> None:
    """playback_stop means either the overlays or what they lie over."""
    async with open_pair() as (carrier, server):
        leg = await answered(carrier, server)
        endless = {"playback_content": encoded(0.5), "loop": "infinity"}
        await act(server, leg, "playback_start", **endless)
        await act(server, leg, "playback_start", overlay=True, **endless)
        await trio.sleep(0.1)
        await act(server, leg, "playback_stop", overlay=True)
        assert (await server.wait_for_event("call.playback.ended"))["overlay"] is True
        await act(server, leg, "playback_start", overlay=True, **endless)
        await act(server, leg, "playback_stop")
        ended = await server.wait_for_events("call.playback.ended", 2)
        assert [payload["overlay"] for payload in ended] == [True, False]


async def test_playback_fetches_its_file(autojump_clock: MockClock) -> None:
    """WAV and MP3 by URL; what is missing or no audio ends at once and says why."""
    server = EchoServer()
    beep, rate = tone(500, 0.5)
    files = {
        "http://files.invalid/a.wav": wav(0.5),
        "http://files.invalid/a.mp3": encode_mp3(beep[None, :], rate),
        "http://files.invalid/a.txt": b"hello",
        "http://files.invalid/short.wav": b"RIFF",
        "http://files.invalid/broken.mp3": b"ID3broken",
    }
    transport = MemoryTransport(server.handle_webhook, server.handle_media, files=files)
    async with open_carrier(transport=transport) as carrier, trio.open_nursery() as nursery:
        headers = {"authorization": f"Bearer {carrier.api_key}"}
        async with httpx.AsyncClient(
            base_url=carrier.base_url, headers=headers, transport=carrier.http_transport()
        ) as client:
            server.connect(client, nursery)
            leg = await answered(carrier, server)
            for url in (*files, "http://files.invalid/none.wav"):
                await act(server, leg, "playback_start", audio_url=url)
            await act(server, leg, "playback_start", media_name="hold_music")
            await trio.sleep(3)
            ended = [payload for kind, payload in server.events if kind == "call.playback.ended"]
            assert [payload["status"] for payload in ended] == [
                "completed",
                "completed",
                "failed",
                "failed",
                "failed",
                "file_not_found",
                "file_not_found",
            ]
            assert all(payload["status_detail"] for payload in ended[2:])
            assert ended[0]["media_url"] == "http://files.invalid/a.wav"
            assert ended[-1]["media_name"] == "hold_music"
            assert len(told(server, "call.playback.started")) == 2
            server.disconnect(nursery)
    assert voiced(leg, 1)[0][0] == 0.0
    assert voiced(leg, 1)[-1][1] == pytest.approx(1.0, abs=0.11)


async def test_playback_and_media_stream_add_up(autojump_clock: MockClock) -> None:
    """The phone hears both, and both are in the outbound track."""
    async with open_pair() as (carrier, server):
        server.answer_fields = {**RTP, "stream_track": "both_tracks"}
        server.on_message = lambda message: (
            server.echo(message) if message.get("media", {}).get("track") == "inbound" else []
        )
        leg = await carrier.call_in(to=OUR_NUMBER, phone=Phone(says=tone(700, 2)))
        await server.wait_for_message("start")
        await act(server, leg, "playback_start", playback_content=encoded(1))
        await server.wait_for_event("call.playback.ended")
        await trio.sleep(0.5)
        messages = [message["media"] for message in server.messages if "media" in message]
    assert strength(leg, 1, 500, 0.1, 0.9) > 6000
    assert strength(leg, 1, 700, 0.1, 0.9) > 6000
    assert strength(leg, 1, 500, 1.1, 1.4) < 200
    outbound = [media for media in messages if media["track"] == "outbound"]
    assert len(outbound) >= 70
    assert outbound[20]["payload"] != outbound[70]["payload"]


async def test_recording_can_be_downloaded(autojump_clock: MockClock) -> None:
    """Both sides, without what was paused; the URL needs no key and lasts ten minutes."""
    async with open_pair() as (carrier, server):
        leg = await answered(carrier, server, Phone(says=tone(700, 10)))
        record = {"channels": "dual", "format": "wav"}
        assert (await act(server, leg, "record_start", **record)).status_code == 200
        assert code(await act(server, leg, "record_start", **record)) == (422, "10015")
        await act(server, leg, "playback_start", playback_content=encoded(1))
        await trio.sleep(2)
        await act(server, leg, "record_pause")
        await trio.sleep(2)
        await act(server, leg, "record_resume")
        await trio.sleep(1)
        await act(server, leg, "record_stop")
        saved = await server.wait_for_event("call.recording.saved")
        assert saved["channels"] == "dual"
        assert saved["recording_started_at"] < saved["recording_ended_at"]
        url = saved["recording_urls"]["wav"]
        async with httpx.AsyncClient(transport=carrier.http_transport()) as client:
            content = (await client.get(url)).content
            await trio.sleep(601)
            assert (await client.get(url)).status_code == 403
            assert (await client.get(f"{url}x")).status_code == 404
    samples, rate = read_wav(io.BytesIO(content))
    assert samples.size / rate == pytest.approx(3, abs=0.01)
    (voice, heard), _ = leg.recording()
    mono = (voice[: 2 * rate].astype(int) + heard[: 2 * rate]) / 2
    assert np.abs(samples[: 2 * rate] - mono).max() <= 1


@pytest.mark.parametrize(
    ("fields", "n_channels", "row"),
    [
        ({"channels": "dual", "recording_track": "inbound"}, 1, 0),
        ({"channels": "single", "recording_track": "outbound"}, 1, 1),
        ({"channels": "single"}, 1, None),
        ({"channels": "dual"}, 2, None),
    ],
)
async def test_recording_has_the_channels_that_were_asked_for(
    autojump_clock: MockClock, fields: dict[str, str], n_channels: int, row: int | None
) -> None:
    """And it is saved when the call ends, or its time is up."""
    async with open_pair() as (carrier, server):
        leg = await answered(carrier, server, Phone(says=tone(700, 0.5)))
        await act(server, leg, "record_start", format="wav", **fields)
        await trio.sleep(1)
        await leg.hang_up()
        saved = await server.wait_for_event("call.recording.saved")
        async with httpx.AsyncClient(transport=carrier.http_transport()) as client:
            content = (await client.get(saved["recording_urls"]["wav"])).content
    assert int.from_bytes(content[22:24], "little") == n_channels
    samples, _ = read_wav(io.BytesIO(content))
    assert samples.any() == (row != 1)


async def test_recording_stops_by_itself(autojump_clock: MockClock) -> None:
    """After max_length, as MP3 if asked; record-from-answer needs no command."""
    async with open_pair() as (carrier, server):
        leg = await answered(carrier, server)
        fields = {"channels": "single", "format": "mp3", "max_length": 2, "play_beep": True}
        await act(server, leg, "record_start", **fields)
        started_at = trio.current_time()
        saved = await server.wait_for_event("call.recording.saved")
        assert trio.current_time() == pytest.approx(started_at + 2)
        async with httpx.AsyncClient(transport=carrier.http_transport()) as client:
            reply = await client.get(saved["recording_urls"]["mp3"])
        assert reply.headers["content-type"] == "audio/mpeg"
        assert len(reply.content) > 1000
        assert voiced(leg, 1) == [(0.0, 0.3)]
        await act(server, leg, "record_start", **fields)
        await trio.sleep(1)
        await act(server, leg, "record_stop", recording_id=saved["recording_id"])
        assert len(told(server, "call.recording")) == 1
        await act(server, leg, "record_stop")
        await server.wait_for_events("call.recording.saved", 2)
        await act(server, leg, "record_start", **(fields | {"max_length": 5}))
        await trio.sleep(3)
        assert len(told(server, "call.recording")) == 2
        await act(server, leg, "record_stop")
        dialled = await dial(carrier, server, record="record-from-answer", record_format="wav")
        await dialled.wait_answered()
        await trio.sleep(1)
        await dialled.hang_up()
        await trio.sleep(1)
        (*_, last) = await server.wait_for_events("call.recording.saved", 4)
        assert last["call_leg_id"] == dialled.names.call_leg_id


async def dial(carrier: Carrier, server: EchoServer, **fields: Any) -> Leg:
    numbers = {"to": THEIR_NUMBER, "from": OUR_NUMBER}
    response = await server.post("calls", connection_id=carrier.connection_id, **numbers, **fields)
    assert response.status_code == 200, response.text
    leg_id = response.json()["data"]["call_leg_id"]
    return next(leg for leg in carrier.legs if leg.names.call_leg_id == leg_id)


async def test_gather_tells_what_was_pressed(autojump_clock: MockClock) -> None:
    """Digits and status; the gather_id comes back; the keys still have their own events."""
    async with open_pair() as (carrier, server):
        leg = await answered(carrier, server, Phone(digits=[(1, "4"), (2, "2"), (3, "#")]))
        await act(server, leg, "gather", gather_id="g-1", client_state="Yg==")
        started_at = trio.current_time()
        ended = await server.wait_for_event("call.gather.ended")
        assert trio.current_time() == pytest.approx(started_at + 3)
        assert (ended["digits"], ended["status"]) == ("42", "valid")
        assert (ended["gather_id"], ended["client_state"]) == ("g-1", "Yg==")
        assert len(told(server, "call.dtmf.received")) == 3


async def test_gather_ends_in_other_ways(autojump_clock: MockClock) -> None:
    """Timeout, a command, another gather, the end of the call: one event each."""
    async with open_pair() as (carrier, server):
        leg = await answered(carrier, server)
        started_at = trio.current_time()
        await act(server, leg, "gather", initial_timeout_millis=2500)
        await server.wait_for_event("call.gather.ended")
        assert trio.current_time() == pytest.approx(started_at + 2.5)
        await act(server, leg, "gather")
        leg.press("1")
        await act(server, leg, "gather")
        leg.press("2")
        await act(server, leg, "gather_stop")
        await act(server, leg, "gather_stop")
        await act(server, leg, "gather", minimum_digits=2)
        leg.press("3")
        await leg.hang_up()
        await trio.sleep(1)
        events = [payload for kind, payload in server.events if kind == "call.gather.ended"]
    assert [(event["status"], event["digits"]) for event in events] == [
        ("timeout", ""),
        ("cancelled", "1"),
        ("cancelled", "2"),
        ("call_hangup", "3"),
    ]


async def test_prompt_is_stopped_by_the_first_key(autojump_clock: MockClock) -> None:
    """The timeouts run from the prompt's end, so that nobody is hurried by a long one."""
    async with open_pair() as (carrier, server):
        leg = await answered(carrier, server)
        prompt = {"payload": "a" * 200, "voice": "female", "maximum_digits": 2}
        await act(server, leg, "gather_using_speak", **prompt)
        await trio.sleep(6)
        leg.press("1")
        stopped_at = trio.current_time()
        await trio.sleep(4)
        leg.press("2")
        await server.wait_for_event("call.gather.ended")
        assert told(server, "call.gather", "call.speak") == [
            ("call.speak.started", None),
            ("call.speak.ended", "completed"),
            ("call.gather.ended", "valid"),
        ]
        assert max(end for _, end in voiced(leg, 1)) <= stopped_at - (leg.answered_at or 0) + 0.1


async def test_prompt_is_repeated_until_the_tries_are_used_up(autojump_clock: MockClock) -> None:
    """The second time it is the one for invalid digits; one event at the end."""
    async with open_pair() as (carrier, server):
        leg = await answered(carrier, server)
        await act(
            server,
            leg,
            "gather_using_audio",
            playback_content=encoded(0.5),
            audio_url="http://files.invalid/none.wav",
            invalid_audio_url="http://files.invalid/none-either.wav",
            maximum_tries=3,
            timeout_millis=1000,
        )
        await server.wait_for_event("call.gather.ended")
        await trio.sleep(0.1)
        urls = [p["media_url"] for kind, p in server.events if kind == "call.playback.ended"]
        assert [url.rpartition("/")[2] for url in urls] == ["none.wav"] + ["none-either.wav"] * 2
        assert told(server, "call.gather") == [("call.gather.ended", "timeout")]


async def test_transfer_rings_and_connects(autojump_clock: MockClock) -> None:
    """A new leg of the session; both hear each other; whoever hangs up ends both."""
    async with open_pair() as (carrier, server):
        caller = Phone(says=tone(500, 20))
        carrier.phones[THEIR_NUMBER] = Phone(answer_after=3, says=tone(900, 20))
        leg = await answered(carrier, server, caller)
        await act(
            server,
            leg,
            "transfer",
            to=THEIR_NUMBER,
            client_state="YQ==",
            target_leg_client_state="Yg==",
        )
        _, target = carrier.legs
        assert target.names.call_session_id == leg.names.call_session_id
        assert target.names.from_ == OUR_NUMBER
        await trio.sleep(5)
        bridged = [payload for kind, payload in server.events if kind == "call.bridged"]
        assert sorted(payload["client_state"] for payload in bridged) == ["YQ==", "Yg=="]
        initiated = [payload for kind, payload in server.events if kind == "call.initiated"]
        assert (initiated[1]["direction"], initiated[1]["state"]) == ("outgoing", "bridging")
        assert strength(leg, 1, 900, 0.5, 1.5) > 6000
        assert strength(target, 1, 500, 0.5, 1.5) > 6000
        await target.hang_up()
        hangup = await leg.wait_ended()
    assert (hangup.cause, hangup.source) == ("normal_clearing", "callee")


async def test_transferred_leg_survives_where_nobody_answers(autojump_clock: MockClock) -> None:
    """The target's hangup tells why; the leg can be transferred anew."""
    async with open_pair() as (carrier, server):
        carrier.phones[THEIR_NUMBER] = Phone(outcome="busy", answer_after=1)
        leg = await answered(carrier, server)
        await act(server, leg, "transfer", to=THEIR_NUMBER)
        hangup = await server.wait_for_event("call.hangup")
        assert hangup["hangup_cause"] == "user_busy"
        assert hangup["call_leg_id"] != leg.names.call_leg_id
        assert leg.is_alive
        carrier.phones[THEIR_NUMBER] = Phone(outcome="no_answer")
        await act(server, leg, "transfer", to=THEIR_NUMBER, timeout_secs=20)
        await trio.sleep(5)
        await leg.hang_up()
        assert (await carrier.legs[-1].wait_ended()).cause == "originator_cancel"


async def test_leg_is_parked_after_its_bridge(autojump_clock: MockClock) -> None:
    """With park_after_unbridge it goes on alone, hears nobody and can be spoken to."""
    async with open_pair() as (carrier, server):
        carrier.phones[THEIR_NUMBER] = Phone(says=tone(900, 20))
        leg = await answered(carrier, server)
        await act(server, leg, "transfer", to=THEIR_NUMBER, park_after_unbridge="self")
        await server.wait_for_event("call.bridged")
        await trio.sleep(1)
        await carrier.legs[-1].hang_up()
        assert leg.is_alive
        await trio.sleep(1)
        assert voiced(leg, 1) == [(0.0, 1.0)]
        await act(server, leg, "speak", payload="Are you still there?", voice="female")
        await server.wait_for_event("call.speak.ended")


@pytest.mark.parametrize("encodings", [("PCMU", "PCMA"), ("PCMU", "L16"), ("L16", "PCMU")])
async def test_bridge_joins_two_legs(
    autojump_clock: MockClock, encodings: tuple[Encoding, Encoding]
) -> None:
    """Each event once for each; the voices pass between codecs and rates without a gap."""
    async with open_pair(settings=CarrierSettings(leg_sample_rate=16000)) as (carrier, server):
        legs = [
            await answered(carrier, server, Phone(says=tone(frequency, 5), leg_encoding=encoding))
            for frequency, encoding in zip((500, 900), encodings, strict=True)
        ]
        one, other = legs
        await act(server, one, "bridge", call_control_id=other.names.call_control_id)
        await trio.sleep(2)
        assert len(told(server, "call.bridged")) == 2
        twice = {"call_control_id": other.names.call_control_id, "prevent_double_bridge": True}
        assert code(await act(server, one, "bridge", **twice)) == (422, "10015")
        await act(server, one, "bridge", call_control_id=other.names.call_control_id)
        assert len(await server.wait_for_events("call.bridged", 4)) == 4
        for leg, heard in ((one, 900), (other, 500)):
            assert strength(leg, 1, heard, 0.1, 1.9) > 7500
            assert len(voiced(leg, 1)) == 1
        assert other.is_alive
        await one.hang_up()
        assert not other.is_alive


async def test_played_to_the_opposite_leg(autojump_clock: MockClock) -> None:
    """target_legs says who hears it; the webhooks are the commanded leg's."""
    async with open_pair() as (carrier, server):
        one, other = await answered(carrier, server), await answered(carrier, server)
        await act(server, one, "bridge", call_control_id=other.names.call_control_id)
        fields = {"playback_content": encoded(0.5), "target_legs": "opposite"}
        await act(server, one, "playback_start", **fields)
        ended = await server.wait_for_event("call.playback.ended")
        assert ended["call_leg_id"] == one.names.call_leg_id
    assert voiced(one, 1) == []
    assert voiced(other, 1) == [(0.0, 0.5)]


@pytest.mark.parametrize(
    ("phone", "mode", "expected"),
    [
        (Phone(), "detect", [("detection.ended", "human")]),
        (Phone(answered_by="fax"), "detect", [("detection.ended", "not_sure")]),
        (Phone(answered_by="silence"), "detect", [("detection.ended", "machine")]),
        (Phone(answered_by="machine"), "detect", [("detection.ended", "machine")]),
        (
            Phone(answered_by="machine"),
            "greeting_end",
            [("detection.ended", "machine"), ("greeting.ended", "beep_detected")],
        ),
        (
            Phone(answered_by="machine", beep=False),
            "detect_words",
            [("detection.ended", "machine"), ("greeting.ended", "ended")],
        ),
        (Phone(answered_by="machine", beep=False), "detect_beep", [("detection.ended", "machine")]),
        (Phone(answered_by="machine"), "disabled", []),
        (Phone(), "premium", [("premium.detection.ended", "human_residence")]),
        (Phone(answered_by="fax"), "premium", [("premium.detection.ended", "fax_detected")]),
        (Phone(answered_by="silence"), "premium", [("premium.detection.ended", "silence")]),
        (
            Phone(answered_by="machine"),
            "premium",
            [
                ("premium.detection.ended", "machine"),
                ("premium.greeting.ended", "beep_detected"),
            ],
        ),
        (
            Phone(answered_by="machine", says=tone(500, 0.5)),
            "premium",
            [("premium.greeting.ended", "beep_detected")],
        ),
    ],
)
async def test_machine_detection_tells_who_answered(
    autojump_clock: MockClock, phone: Phone, mode: str, expected: list[tuple[str, str]]
) -> None:
    """The phone says what it is, the mode says what is told; premium modes tell their start."""
    async with open_pair() as (carrier, server):
        carrier.default_phone = phone
        leg = await dial(carrier, server, answering_machine_detection=mode)
        await leg.wait_answered()
        await trio.sleep(10)
        events = told(server, "call.machine")
    if mode == "premium":
        assert events.pop(0) == ("call.machine.premium.detection.started", None)
    assert events == [(f"call.machine.{kind}", result) for kind, result in expected]


async def test_machine_greets_and_beeps(autojump_clock: MockClock) -> None:
    """Its greeting is heard on the media stream, and the beep ends it."""
    async with open_pair() as (carrier, server):
        carrier.default_phone = Phone(answered_by="machine")
        stream = {"stream_url": server.stream_url, **RTP}
        leg = await dial(carrier, server, answering_machine_detection="greeting_end", **stream)
        await server.wait_for_event("call.machine.greeting.ended")
        ended_at = trio.current_time() - (leg.answered_at or 0)
        await trio.sleep(1)
    assert max(end for _, end in voiced(leg, 0)) == pytest.approx(ended_at, abs=0.1)
    assert strength(leg, 0, 1000, ended_at - 0.5, ended_at) > 6000


async def test_call_is_named_otherwise_later(autojump_clock: MockClock) -> None:
    """Webhooks carry another call_control_id; both work; the other two ids stay."""
    async with open_pair(settings=CarrierSettings(renames_dialled_calls=True)) as (carrier, server):
        numbers = {"to": THEIR_NUMBER, "from": OUR_NUMBER}
        reply = await server.post("calls", connection_id=carrier.connection_id, **numbers)
        dialled = reply.json()["data"]
        payload = await server.wait_for_event("call.answered")
        assert payload["call_control_id"] != dialled["call_control_id"]
        assert payload["call_leg_id"] == dialled["call_leg_id"]
        assert payload["call_session_id"] == dialled["call_session_id"]
        for call_id in (payload["call_control_id"], dialled["call_control_id"]):
            assert (await server.act(call_id, "send_dtmf", digits="1")).status_code == 200
        assert carrier.legs[0].digits_received == "11"


COMMANDS: dict[str, dict[str, Any]] = {
    "transfer": {"to": THEIR_NUMBER},
    "bridge": {"call_control_id": "v3:x"},
    "speak": {"payload": "Hello", "voice": "female"},
    "playback_start": {"audio_url": "http://h/a.wav"},
    "playback_stop": {},
    "record_stop": {},
    "record_pause": {},
    "record_resume": {},
    "gather": {},
    "gather_using_speak": {"payload": "Hello", "voice": "female"},
    "gather_using_audio": {"audio_url": "http://h/a.wav"},
    "gather_stop": {},
    "refer": {"sip_address": "sip:a@h"},
    "enqueue": {"queue_name": "q"},
}


async def test_commands_need_a_call_that_is_answered_and_alive(autojump_clock: MockClock) -> None:
    """90034 while it rings, 90020 for recording, 90018 when it is over."""
    async with open_pair() as (carrier, server):
        server.answer_fields = None
        leg = await carrier.call_in(to=OUR_NUMBER)
        for action, fields in COMMANDS.items():
            assert code(await act(server, leg, action, **fields)) == (422, "90034"), action
        record = {"channels": "dual", "format": "wav"}
        assert code(await act(server, leg, "record_start", **record)) == (422, "90020")
        await leg.hang_up()
        for action, fields in COMMANDS.items():
            assert code(await act(server, leg, action, **fields)) == (422, "90018"), action


@pytest.mark.parametrize(
    ("action", "fields", "expected"),
    [
        ("transfer", {"to": None}, "10004"),
        ("transfer", {"to": "555"}, "10016"),
        ("transfer", {"park_after_unbridge": "both"}, "10032"),
        ("transfer", {"timeout_secs": 2}, "90028"),
        ("transfer", {"target_leg_client_state": "?"}, "90017"),
        ("transfer", {"answering_machine_detection": "yes"}, "10032"),
        ("bridge", {"call_control_id": None}, "10004"),
        ("bridge", {"call_control_id": "nonsense"}, "90015"),
        ("speak", {"payload": ""}, "10004"),
        ("speak", {"voice": None}, "10004"),
        ("speak", {"payload": "a" * 5001}, "90010"),
        ("speak", {"payload_type": "html"}, "10032"),
        ("speak", {"target_legs": "all"}, "10032"),
        ("speak", {"loop": 101}, "10033"),
        ("speak", {"loop": "often"}, "10033"),
        ("speak", {"stop": "now"}, "10032"),
        ("playback_start", {"audio_url": None}, "10004"),
        ("playback_start", {"audio_url": "file:///etc/passwd"}, "10003"),
        ("playback_start", {"audio_url": None, "playback_content": "?"}, "10015"),
        ("playback_start", {"audio_type": "ogg"}, "10032"),
        ("playback_stop", {"stop": "some"}, "10032"),
        ("record_start", {"channels": None}, "10004"),
        ("record_start", {"channels": "dual", "format": "ogg"}, "10032"),
        ("record_start", {"channels": "dual", "format": "wav", "max_length": 14401}, "10033"),
        ("gather", {"minimum_digits": 0}, "10033"),
        ("gather", {"maximum_digits": 129}, "10033"),
        ("gather", {"minimum_digits": 3, "maximum_digits": 2}, "10033"),
        ("gather", {"terminating_digit": "##"}, "10032"),
        ("gather", {"valid_digits": "12x"}, "10032"),
        ("gather", {"timeout_millis": "60000"}, "10033"),
        ("gather_using_speak", {"voice": None}, "10004"),
        ("gather_using_audio", {"audio_url": None}, "10004"),
        ("client_state_update", {"client_state": None}, "10004"),
        ("client_state_update", {"client_state": "?"}, "90017"),
        ("refer", {"sip_address": None}, "10004"),
        ("enqueue", {"queue_name": None}, "10004"),
    ],
)
async def test_wrong_field_is_refused(
    autojump_clock: MockClock, action: str, fields: dict[str, Any], expected: str
) -> None:
    """422 with Telnyx's code, and nothing happens."""
    async with open_pair() as (carrier, server):
        leg = await answered(carrier, server)
        await trio.sleep(0.1)
        before = len(server.events)
        body = COMMANDS.get(action, {}) | fields
        assert code(await act(server, leg, action, **body)) == (422, expected)
        await trio.sleep(0.1)
        assert len(server.events) == before
        assert len(carrier.legs) == 1


async def test_client_state_is_updated_for_later_webhooks(autojump_clock: MockClock) -> None:
    """Also while it rings."""
    async with open_pair() as (carrier, server):
        server.answer_fields = None
        leg = await carrier.call_in(to=OUR_NUMBER)
        await act(server, leg, "client_state_update", client_state="Yg==")
        await act(server, leg, "answer")
        assert (await server.wait_for_event("call.answered"))["client_state"] == "Yg=="


async def test_cancelled_carrier_leaves_no_announcement(autojump_clock: MockClock) -> None:
    """Leaving amid a playback, a gather and a ringing transfer ends at once."""
    carrier_tasks = trio.lowlevel.current_statistics().tasks_living
    async with open_pair() as (carrier, server):
        carrier.default_phone = Phone(outcome="no_answer")
        leg = await answered(carrier, server)
        endless = {"playback_content": encoded(0.5), "loop": "infinity"}
        await act(server, leg, "playback_start", **endless)
        await act(server, leg, "gather")
        await act(server, leg, "record_start", channels="dual", format="wav", max_length=100)
        await act(server, leg, "transfer", to=THEIR_NUMBER)
        await trio.sleep(1)
    assert trio.lowlevel.current_statistics().tasks_living == carrier_tasks
