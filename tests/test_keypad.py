"""``gather_digits`` and ``send_dtmf`` over a whole call in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
import trio
from scenarios import CALLEE, open_memory_world, open_socket_world
from stream_peer import media_text, running_stream
from trio.testing import MockClock

from telnyx_trio import (
    Call,
    CallEnded,
    DigitsEnd,
    DtmfReceived,
    GatheredDigits,
    LocalProtocolError,
    PcmData,
    pcm_to_pcmu,
)
from telnyx_trio.audio import dtmf_tones
from telnyx_trio.testing import Leg, Phone

PROMPT = PcmData(8000, samples=np.full(16000, 4000, np.int16))


@asynccontextmanager
async def open_line(phone: Phone | None = None, **options: Any) -> AsyncIterator[tuple[Call, Leg]]:
    """Call somebody who presses keys."""
    async with open_memory_world(**options) as world:
        world.carrier.default_phone = phone or Phone()
        async with world.server.dial(to=CALLEE) as call:
            (leg,) = world.carrier.legs
            yield call, leg
        await world.assert_nothing_left(outbound=1)


@pytest.mark.parametrize("report", ["media", "webhook", "both", "in_band"])
async def test_every_way_that_keys_are_told(report: Any, autojump_clock: MockClock) -> None:
    """Each press is gathered once, and is an event once."""
    phone = Phone(
        dtmf_report=report, digits=[(0.5 + n * 0.3, key) for n, key in enumerate("4477#")]
    )
    async with open_line(phone, call={"in_band_dtmf": True}) as (call, _):
        assert await call.gather_digits(8) == GatheredDigits("4477", DigitsEnd.TERMINATOR)
        await trio.sleep(4)
        told = []
        while call.events.statistics().buffered:
            event = call.events.receive_nowait()
            if isinstance(event, DtmfReceived):
                told.append(event)
        assert "".join(event.digit for event in told) == "4477#"
        source = {"both": "media"}.get(report, report)
        assert {event.source for event in told} == {source}


async def test_tones_and_messages_of_one_press_are_one(autojump_clock: MockClock) -> None:
    """Also when the tone stays in the audio although it is told of."""
    async with open_line(call={"in_band_dtmf": True}) as (call, leg):
        for key in "1231":
            leg.press(key)
            leg.phone = Phone(dtmf_report="in_band")
            leg.press(key)
            leg.phone = Phone()
            await trio.sleep(0.5)
        assert (await call.gather_digits(digit_timeout=1.0)).digits == "1231"


async def test_first_key_interrupts_the_prompt(autojump_clock: MockClock) -> None:
    """At once, before it is known whether another one was pressed before it."""
    async with open_line(Phone(digits=[(0.5, "1"), (1.0, "2")])) as (call, leg):
        gathered = await call.gather_digits(2, prompt=PROMPT)
        assert gathered == GatheredDigits("12", DigitsEnd.COUNT)
        await trio.sleep(1.0)
        (_, heard), rate = leg.recording()
        assert np.count_nonzero(heard) / rate == pytest.approx(0.5, abs=0.1)


async def test_time_for_the_first_key_begins_after_the_prompt(autojump_clock: MockClock) -> None:
    """It was heard to its end."""
    async with open_line() as (call, _):
        began_at = trio.current_time()
        gathered = await call.gather_digits(2, prompt=PROMPT, first_timeout=3.0)
        assert gathered == GatheredDigits("", DigitsEnd.FIRST_TIMEOUT)
        assert trio.current_time() - began_at == pytest.approx(5.0, abs=0.1)


async def test_keys_pressed_ahead(autojump_clock: MockClock) -> None:
    """They count, and spare the prompt; unless nobody wants them."""
    async with open_line() as (call, leg):
        leg.press("12")
        await trio.sleep(0.5)
        assert (await call.gather_digits(2, prompt=PROMPT)).digits == "12"
        assert call.stream.statistics().packets_sent == 0
        leg.press("34")
        await trio.sleep(0.5)
        gathered = await call.gather_digits(2, type_ahead=False, first_timeout=1.0)
        assert gathered == GatheredDigits("", DigitsEnd.FIRST_TIMEOUT)


@pytest.mark.parametrize("pause", [0.0, 1.0])
async def test_terminator_behind_the_last_digit(pause: float, autojump_clock: MockClock) -> None:
    """It belongs to the digits before it, and not to the next question."""
    async with open_line() as (call, leg):
        leg.press("12")
        if pause:
            assert (await call.gather_digits(2)).digits == "12"
        leg.press("#34#")
        await trio.sleep(0.5)
        if not pause:
            assert (await call.gather_digits(2)).digits == "12"
        assert (await call.gather_digits(2)).digits == "34"
        assert (await call.gather_digits(2, first_timeout=0.5)).digits == ""


@pytest.mark.parametrize("moment", [0.0, 0.1, 0.55, 1.05])
async def test_cancelled_gathering_loses_no_key(moment: float, autojump_clock: MockClock) -> None:
    """While the prompt plays, between keys: they wait for the next one, and the prompt is over."""
    async with open_line(Phone(digits=[(0.5, "1"), (1.0, "2"), (3.0, "3")])) as (call, leg):
        with trio.move_on_after(moment):
            await call.gather_digits(3, prompt=PROMPT)
        await trio.sleep(2.0 - moment)
        (_, heard), rate = leg.recording()
        assert np.count_nonzero(heard) / rate < moment + 0.15
        assert (await call.gather_digits(3)).digits == "123"


async def test_two_who_gather_take_turns(autojump_clock: MockClock) -> None:
    """No key is for both."""
    phone = Phone(digits=[(0.5 + n, key) for n, key in enumerate("1234")])
    gathered: list[str] = []
    async with open_line(phone) as (call, _):

        async def gather() -> None:
            gathered.append((await call.gather_digits(2)).digits)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(gather)
            nursery.start_soon(gather)
    assert gathered == ["12", "34"]


@pytest.mark.parametrize("prompt", [None, PROMPT])
async def test_far_party_hangs_up(prompt: PcmData | None, autojump_clock: MockClock) -> None:
    """Who gathers is told at once, and alone of that."""
    async with open_line(Phone(digits=[(0.3, "1")], hang_up_at=1.0)) as (call, _):
        with pytest.raises(CallEnded), trio.fail_after(1.2):
            await call.gather_digits(4, prompt=prompt)
        with pytest.raises(CallEnded):
            await call.gather_digits(4, prompt=prompt)


async def test_prompt_that_fails(autojump_clock: MockClock) -> None:
    """Its error comes as itself, and the next gathering is none the worse."""

    async def chunks() -> AsyncIterator[PcmData]:
        yield PROMPT
        raise ZeroDivisionError

    async with open_line(Phone(digits=[(4.0, "1")])) as (call, _):
        with pytest.raises(ZeroDivisionError):
            await call.gather_digits(1, prompt=chunks())
        with pytest.raises(FileNotFoundError):
            await call.gather_digits(1, prompt="no such file.wav")
        assert (await call.gather_digits(1)).digits == "1"


async def test_keys_by_command(autojump_clock: MockClock) -> None:
    """Telnyx is told to press them, with its pauses and its unit."""
    async with open_memory_world() as world, world.server.dial(to=CALLEE) as call:
        (leg,) = world.carrier.legs
        await call.send_dtmf("1w2W#", duration=0.2)
        assert leg.digits_received == "12#"
        request = world.carrier.requests[-1]
        assert request.body == {**request.body, "digits": "1w2W#", "duration_millis": 200}


async def test_keys_as_tones(autojump_clock: MockClock) -> None:
    """Behind what is played, in the audio; each tone where it should be."""
    async with open_line() as (call, leg):
        await call.play(PcmData(8000, samples=np.full(4000, 100, np.int16)))
        await call.send_dtmf("5w#", in_band=True)
        await call.drain()
        (_, heard), rate = leg.recording()
        loud = np.flatnonzero(abs(heard.astype(int)) > 2000) / rate
        start = loud[0]
        for at, frequencies in ((start, (770, 1336)), (start + 0.85, (941, 1477))):
            first = round(at * rate)
            spectrum = abs(np.fft.rfft(heard[first : first + rate // 5]))
            assert {5 * int(n) for n in np.argsort(spectrum)[-2:]} == {
                5 * round(frequency / 5) for frequency in frequencies
            }


@pytest.mark.parametrize("in_band", [True, False])
@pytest.mark.parametrize(("digits", "duration"), [("x", 0.25), ("", 0.25), ("1", 0.05), ("1", 6)])
async def test_keys_that_cannot_be_pressed(
    digits: str, duration: float, in_band: bool, autojump_clock: MockClock
) -> None:
    """Nothing is sent."""
    async with open_line() as (call, leg):
        with pytest.raises(LocalProtocolError):
            await call.send_dtmf(digits, duration=duration, in_band=in_band)
        assert leg.digits_received == ""
        assert call.stream.statistics().packets_sent == 0


async def test_a_menu_over_sockets() -> None:
    """A prompt, a choice, a PIN: the whole of it over real sockets."""
    phone = Phone(digits=[(0.4, "2"), (0.8, "1"), (0.95, "7"), (1.1, "#")], hang_up_at=30)
    results: list[GatheredDigits] = []

    async def agent(call: Call) -> None:
        results.append(await call.gather_digits(1, prompt=PROMPT))
        results.append(await call.gather_digits(prompt=PROMPT))

    async with open_socket_world(agent) as world:
        with trio.fail_after(10):
            leg = await world.carrier.call_in(to="+15550100000", phone=phone)
            await leg.wait_ended()
    assert [result.digits for result in results] == ["2", "17"]
    (_, heard), rate = leg.recording()
    assert np.count_nonzero(abs(heard.astype(int)) > 2000) / rate < 1.2


async def test_stream_alone_hears_tones(autojump_clock: MockClock) -> None:
    """Without a call around it, too, when asked."""
    payload = pcm_to_pcmu(dtmf_tones("9", 8000, duration=0.1))
    async with running_stream(in_band_dtmf=True) as (stream, telnyx):
        for start in range(0, len(payload), 160):
            await telnyx.send(media_text(payload[start : start + 160], chunk=start // 160 + 1))
        assert await stream.events.receive() == DtmfReceived("9", None, "in_band")
