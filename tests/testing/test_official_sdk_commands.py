"""Telnyx's own Python SDK commanding simulated calls, over sockets, files included."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import httpx
import numpy as np
import pytest
import telnyx
import trio
from telnyx.types.calls import ActionSpeakResponse
from testing.echo_server import EchoServer, open_pair
from testing.test_official_sdk import in_thread, sdk

from telnyx_trio.testing import Carrier, Leg, Phone, read_wav, write_wav
from telnyx_trio.testing._audio_files import tone
from telnyx_trio.testing._transports import MAX_DOWNLOAD_BYTES

OUR_NUMBER = "+15550100002"
THEIR_NUMBER = "+15550100003"


def wav(duration: float) -> bytes:
    samples, rate = tone(500, duration)
    file = io.BytesIO()
    write_wav(file, samples[None, :], rate)
    return file.getvalue()


class Files(BaseHTTPRequestHandler):
    """A web server: a WAV file, a way to it, one that is too large, and one that comes later."""

    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("location", "/tone.wav")
            self.send_header("content-length", "0")
            self.end_headers()
            return
        if self.path == "/slow.wav":
            assert isinstance(self.server, FileServer)
            self.server.was_asked.set()
            self.server.shall_answer.wait()
        sizes = {"/tone.wav": wav(0.2), "/large.wav": bytes(MAX_DOWNLOAD_BYTES + 1)}
        content = sizes.get(self.path, b"")
        self.send_response(200 if content else 404)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        pass


class FileServer(ThreadingHTTPServer):
    def __init__(self, *arguments: Any) -> None:
        self.was_asked = Event()
        self.shall_answer = Event()
        super().__init__(*arguments)
        self.url = f"http://127.0.0.1:{self.server_port}"


@asynccontextmanager
async def open_files() -> AsyncIterator[FileServer]:
    with FileServer(("127.0.0.1", 0), Files) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shall_answer.set()
            server.shutdown()
            thread.join()


@asynccontextmanager
async def open_call(
    phone: Phone | None = None,
) -> AsyncIterator[tuple[Carrier, EchoServer, telnyx.Telnyx, Leg]]:
    """A carrier on sockets, and a call that the SDK has answered."""
    async with open_pair("sockets") as (carrier, server):
        server.answer_fields = None
        with sdk(carrier) as client:
            leg = await carrier.call_in(to=OUR_NUMBER, phone=phone)
            await in_thread(lambda: client.calls.actions.answer(leg.names.call_control_id))
            yield carrier, server, client, leg


async def command(call: Callable[..., Any], leg: Leg, **fields: Any) -> None:
    reply = await in_thread(partial(call, leg.names.call_control_id, **fields))
    assert reply.data.result == "ok"


async def test_sdk_plays_files_from_a_web_server() -> None:
    """Fetched for real: found, moved, missing, too large, and nobody there."""
    async with open_files() as files, open_call() as (_, server, client, leg):
        start = client.calls.actions.start_playback
        for url in ("tone.wav", "moved", "none.wav", "large.wav"):
            await command(start, leg, audio_url=f"{files.url}/{url}")
        await command(start, leg, audio_url="http://127.0.0.1:1/tone.wav")
        ended = await server.wait_for_events("call.playback.ended", 5)
        by_url = {payload["media_url"].rpartition("/")[2]: payload for payload in ended[:4]}
        assert {url: payload["status"] for url, payload in by_url.items()} == {
            "tone.wav": "completed",
            "moved": "completed",
            "none.wav": "file_not_found",
            "large.wav": "failed",
        }
        assert by_url["large.wav"]["status_detail"] == "the file is too large"
        (failed,) = [payload for payload in ended if ":1/" in payload["media_url"]]
        assert failed["status_detail"] == "download failed: ConnectError"
    (_, heard), _ = leg.recording()
    assert np.abs(heard.astype(int)).max() > 7000


async def test_hangup_ends_a_download() -> None:
    """A file that does not come holds nothing up; its playback ends with the call."""
    async with open_files() as files, open_call() as (_, server, client, leg):
        url = f"{files.url}/slow.wav"
        await command(client.calls.actions.start_playback, leg, audio_url=url)
        await in_thread(files.was_asked.wait)
        await leg.hang_up()
        (ended,) = await server.wait_for_events("call.playback.ended", 1)
        assert (ended["media_url"], ended["status"]) == (url, "call_hangup")


async def test_sdk_records_and_downloads() -> None:
    """The URL in the webhook is one of the simulator's own, and needs no key."""
    async with open_call(Phone(says=tone(700, 5))) as (_, server, client, leg):
        actions = client.calls.actions
        await command(actions.start_recording, leg, channels="dual", format="wav")
        await command(actions.pause_recording, leg)
        await command(actions.resume_recording, leg)
        await trio.sleep(0.2)
        await command(actions.stop_recording, leg)
        (saved,) = await server.wait_for_events("call.recording.saved", 1)
        async with httpx.AsyncClient() as browser:
            reply = await browser.get(saved["recording_urls"]["wav"])
        samples, rate = read_wav(io.BytesIO(reply.content))
    assert samples.size >= 0.2 * rate
    assert np.abs(samples.astype(int)).max() > 3000


async def test_sdk_speaks_and_gathers() -> None:
    """Each of the methods; the replies are of the SDK's types."""
    async with open_call() as (_, server, client, leg):
        actions = client.calls.actions
        call_id = leg.names.call_control_id
        spoken = await in_thread(
            lambda: actions.speak(call_id, payload="Hello", voice="female", loop=1)
        )
        assert isinstance(spoken, ActionSpeakResponse)
        await command(actions.stop_playback, leg, stop="all")
        await command(actions.gather, leg, maximum_digits=2, client_state="Yg==")
        leg.press("42")
        (gathered,) = await server.wait_for_events("call.gather.ended", 1)
        assert (gathered["digits"], gathered["client_state"]) == ("42", "Yg==")
        prompt = {"payload": "Your number, please", "voice": "female"}
        await command(actions.gather_using_speak, leg, **prompt)
        await command(actions.stop_gather, leg)
        await command(actions.gather_using_audio, leg, audio_url="http://127.0.0.1:1/a.wav")
        await command(actions.stop_gather, leg)
        await server.wait_for_events("call.gather.ended", 3)
        await in_thread(lambda: actions.update_client_state(call_id, client_state="Yw=="))
        assert leg.options.client_state == "Yw=="
        with pytest.raises(telnyx.UnprocessableEntityError, match="10033"):
            await in_thread(lambda: actions.gather(call_id, maximum_digits=129))


async def test_sdk_connects_legs() -> None:
    """Transfer, then bridge the parked leg with another; refer and enqueue are taken."""
    async with open_call() as (carrier, server, client, leg):
        actions = client.calls.actions
        await command(actions.transfer, leg, to=THEIR_NUMBER, park_after_unbridge="self")
        await server.wait_for_events("call.bridged", 2)
        await carrier.legs[-1].hang_up()
        other = await carrier.call_in(to=OUR_NUMBER)
        await in_thread(lambda: actions.answer(other.names.call_control_id))
        await command(
            actions.bridge, leg, call_control_id_to_bridge_with=other.names.call_control_id
        )
        await server.wait_for_events("call.bridged", 4)
        await command(actions.enqueue, leg, queue_name="support")
        await command(actions.refer, leg, sip_address="sip:desk@example.com")
        await server.wait_for_events("call.refer.completed", 1)
        assert not carrier.live_legs()
