"""What happens on calls, written once and run on every transport.

A scenario is an async function that gets an ``OpenWorld``: a way to open a carrier and a call
server that know each other. It makes calls, and asserts what the caller heard (from the carrier's
recording, which is on a sample clock), how the call ended, and that nothing of it is left.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import pytest
import trio
from numpy.typing import NDArray

from telnyx_trio import (
    Call,
    CallBusy,
    CallEnded,
    CallNoAnswer,
    CallOutcome,
    CallRejected,
    CallServer,
    EndReason,
    MediaStreamStatistics,
    PcmData,
    ServerConfig,
    open_server,
)
from telnyx_trio.testing import (
    Carrier,
    CarrierSettings,
    Doors,
    Leg,
    MemoryTransport,
    Phone,
    open_carrier,
)

Samples: TypeAlias = NDArray[np.int16]
Kind: TypeAlias = Literal["memory", "sockets"]
Handler: TypeAlias = Callable[[Call], Any]

CALLEE: Final = "+15550000001"
OUR_NUMBER: Final = "+15550000009"
MEMORY_URL: Final = "http://server.invalid"

GREETING: Final = 0.2
"""Seconds of silence that the agent greets with. They are the caller's jitter buffer: an echo that
is a little late on a busy machine does not break the sentence."""

LATENESS: Final = 0.08
"""Seconds that real sockets may add to the greeting on a busy machine."""

SENTENCE_SECONDS: Final = 0.6


class World:
    """A carrier and a call server."""

    def __init__(self, carrier: Carrier, server: CallServer) -> None:
        self.carrier = carrier
        self.server = server

    async def assert_nothing_left(self, *, inbound: int = 0, outbound: int = 0) -> None:
        """Wait until the server has no call, then check that nobody else has one either."""
        await self.server.stop(drain_timeout=5)
        statistics = self.server.statistics()
        assert (statistics.inbound_calls, statistics.outbound_calls) == (inbound, outbound)
        assert (statistics.live_calls, statistics.failed_calls) == (0, 0)
        assert (statistics.refused_media, statistics.refused_webhooks) == (0, 0)
        assert len(self.server.registry) == 0
        assert self.carrier.live_legs() == []


OpenWorld: TypeAlias = Callable[..., AbstractAsyncContextManager[World]]
Scenario: TypeAlias = Callable[[OpenWorld], Any]


def make_config(carrier: Carrier, **options: Any) -> ServerConfig:
    """Settings of a server that trusts this carrier and is to listen on any free port."""
    return ServerConfig(
        api_key=carrier.api_key,
        public_key=carrier.public_key,
        base_url=carrier.base_url,
        connection_id=carrier.connection_id,
        phone_number=OUR_NUMBER,
        port=0,
        **options,
    )


@asynccontextmanager
async def open_memory_world(
    handler: Handler | None = None, *, settings: CarrierSettings | None = None, **options: Any
) -> AsyncIterator[World]:
    """Open a world without sockets; MockClock can run it."""
    doors = Doors()
    transport = MemoryTransport(doors.handle_webhook, doors.handle_media)
    async with open_carrier(transport=transport, settings=settings, seed=1) as carrier:
        config = make_config(carrier, public_url=MEMORY_URL, **options)
        async with open_server(
            config, handler, listen=False, transport=carrier.http_transport()
        ) as server:
            doors.server = server
            yield World(carrier, server)
        doors.server = None


@asynccontextmanager
async def open_socket_world(
    handler: Handler | None = None, *, settings: CarrierSettings | None = None, **options: Any
) -> AsyncIterator[World]:
    """Open a world whose parts meet on loopback sockets, in real time."""
    async with open_carrier(settings=settings, seed=1) as carrier:
        async with open_server(make_config(carrier, **options), handler) as server:
            carrier.webhook_url = f"{server.url}/telnyx/events"
            yield World(carrier, server)


OPEN_WORLD: Final[dict[Kind, OpenWorld]] = {
    "memory": open_memory_world,
    "sockets": open_socket_world,
}


class Agent:
    """Greets with silence, then echoes. Keeps what it saw of its last call."""

    def __init__(self, *, speech: PcmData | None = None) -> None:
        self.speech = speech or PcmData(8000, samples=np.zeros(int(8000 * GREETING), np.int16))
        self.call: Call | None = None
        self.statistics: MediaStreamStatistics | None = None
        self.send_failed = False

    async def __call__(self, call: Call) -> None:
        self.call = call
        try:
            await call.send(self.speech)
            async for pcm in call.received:
                await call.send(pcm)
        except CallEnded:
            self.send_failed = True
        finally:
            self.statistics = call.statistics()

    @property
    def outcome(self) -> CallOutcome:
        assert self.call is not None
        assert self.call.outcome is not None
        return self.call.outcome

    def assert_all_packets_came(self) -> None:
        assert self.statistics is not None
        lost = self.statistics
        assert (lost.missing, lost.late, lost.duplicates, lost.audio_dropped) == (0, 0, 0, 0)
        assert (lost.malformed, lost.refused, lost.events_dropped) == (0, 0, 0)


def make_sentence(sample_rate: int = 16000) -> Samples:
    """Something with the qualities of speech: a gliding pitch, harmonics, syllables.

    Returns:
        int16 of shape (n,), at ``sample_rate`` Hz, SENTENCE_SECONDS long.
    """
    time = np.arange(round(sample_rate * SENTENCE_SECONDS)) / sample_rate
    phase = 2 * np.pi * (140 * time + 70 * time**2)
    harmonics = np.arange(1, 9)[:, np.newaxis]
    voice = (np.sin(harmonics * phase) / harmonics).sum(axis=0)
    syllables = np.abs(np.sin(2 * np.pi * 2.5 * time)) ** 0.5
    samples: Samples = np.rint(6000 * voice * syllables).astype(np.int16)
    return samples


def find_echo(leg: Leg) -> tuple[float, float]:
    """Look for what the caller said in what the caller heard.

    Returns:
        Seconds from the one to the other, and their correlation there, 1 for perfect.
    """
    (said, heard), sample_rate = leg.recording()
    voiced = np.flatnonzero(np.abs(said) > 100)
    sentence = said[voiced[0] : voiced[-1] + 1].astype(np.float64)
    heard = heard[voiced[0] :].astype(np.float64)
    size = heard.size + sentence.size
    product = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(sentence, size))
    lag = int(np.argmax(np.fft.irfft(product, size)[: heard.size]))
    echo = heard[lag : lag + sentence.size]
    assert echo.size == sentence.size, "the call ended before the echo did"
    energies = np.dot(echo, echo) * np.dot(sentence, sentence)
    return lag / sample_rate, float(np.dot(echo, sentence) / np.sqrt(energies))


def assert_echo_heard(leg: Leg) -> None:
    """The whole sentence came back right behind the greeting."""
    delay, correlation = find_echo(leg)
    assert correlation > 0.95
    assert GREETING - 0.001 <= delay <= GREETING + LATENESS
    assert leg.counters.short_packets == leg.counters.odd_payloads == 0
    assert leg.counters.errors_sent == 0


def make_caller(**fields: Any) -> Phone:
    """Somebody who says the sentence, listens to its echo, and hangs up."""
    hang_up_at = 0.1 + SENTENCE_SECONDS + GREETING + 0.15
    return Phone(says=(make_sentence(), 16000), speak_at=0.1, hang_up_at=hang_up_at, **fields)


async def _assert_inbound_echo(
    open_world: OpenWorld, settings: CarrierSettings, caller: Phone, **options: Any
) -> None:
    agent = Agent()
    async with open_world(agent, settings=settings, **options) as world:
        leg = await world.carrier.call_in(to=OUR_NUMBER, phone=caller)
        await leg.wait_ended()
        await world.assert_nothing_left(inbound=1)
    assert_echo_heard(leg)
    agent.assert_all_packets_came()
    assert agent.outcome.ended_by == "them"
    assert agent.outcome.reason is EndReason.HANGUP
    assert agent.outcome.hangup_cause == "normal_clearing"
    assert agent.outcome.hangup_source == "caller"


async def inbound(open_world: OpenWorld) -> None:
    """A caller hears what they said, presses a key, and hangs up."""
    await _assert_inbound_echo(open_world, CarrierSettings(), make_caller(digits=[(0.2, "5")]))


async def inbound_with_header_token(open_world: OpenWorld) -> None:
    """The same with the token in the header of the media socket, which takes two commands."""
    await _assert_inbound_echo(open_world, CarrierSettings(), make_caller(), media_auth="header")


async def pcma_leg_with_pcmu_return(open_world: OpenWorld) -> None:
    """A European leg: A-law comes, mu-law goes."""
    await _assert_inbound_echo(
        open_world, CarrierSettings(leg_encoding="PCMA"), make_caller(), send_encoding="PCMU"
    )


async def l16_little_endian(open_world: OpenWorld) -> None:
    """Linear audio at 16 kHz, low byte first, found out by listening."""
    settings = CarrierSettings(leg_encoding="L16", leg_sample_rate=16000, byteorder="little")
    await _assert_inbound_echo(
        open_world, settings, make_caller(noise=4), send_encoding="L16", send_sample_rate=16000
    )


async def l16_big_endian(open_world: OpenWorld) -> None:
    """Linear audio at 16 kHz, high byte first, found out by listening."""
    settings = CarrierSettings(leg_encoding="L16", leg_sample_rate=16000, byteorder="big")
    await _assert_inbound_echo(
        open_world, settings, make_caller(noise=4), send_encoding="L16", send_sample_rate=16000
    )


async def g722_leg(open_world: OpenWorld) -> None:
    """A wide-band leg: G722 comes, and goes, by one command."""
    settings = CarrierSettings(leg_encoding="G722")
    await _assert_inbound_echo(open_world, settings, make_caller(), send_encoding="G722")


async def opus_leg(open_world: OpenWorld) -> None:
    """A leg to a browser: OPUS both ways, a packet a message."""
    settings = CarrierSettings(leg_encoding="OPUS")
    await _assert_inbound_echo(open_world, settings, make_caller(), send_encoding="OPUS")


async def hd_over_g722_leg(open_world: OpenWorld) -> None:
    """Linear audio at 16 kHz both ways, which Telnyx is asked to make of a wide-band leg."""
    settings = CarrierSettings(leg_encoding="G722")
    await _assert_inbound_echo(
        open_world, settings, make_caller(noise=4), send_encoding="L16", receive_encoding="L16"
    )


async def opus_in_g722_out(open_world: OpenWorld) -> None:
    """Codecs that the leg does not have: the carrier makes them of PCMU, both ways."""
    await _assert_inbound_echo(
        open_world,
        CarrierSettings(),
        make_caller(),
        send_encoding="G722",
        receive_encoding="OPUS",
    )


async def outbound(open_world: OpenWorld) -> None:
    """Whom we call hears what they said, and hangs up."""
    agent = Agent()
    async with open_world() as world:
        world.carrier.phones[CALLEE] = make_caller(answer_after=0.05)
        async with world.server.dial(to=CALLEE) as call:
            assert call.info.call_control_id in {
                leg.names.call_control_id for leg in world.carrier.live_legs()
            }
            await agent(call)
        await world.assert_nothing_left(outbound=1)
    (leg,) = world.carrier.legs
    assert_echo_heard(leg)
    agent.assert_all_packets_came()
    assert agent.outcome.ended_by == "them"
    assert agent.outcome.reason is EndReason.HANGUP
    assert agent.outcome.hangup_source == "callee"


async def outbound_hung_up_by_us(open_world: OpenWorld) -> None:
    """We say something, wait until it was heard, and leave; that hangs up."""
    async with open_world() as world:
        async with world.server.dial(to=CALLEE) as call:
            sentence = PcmData(16000, samples=make_sentence())
            await call.send(sentence)
            await call.send_mark("said")
            async for event in call.events:
                if getattr(event, "name", None) == "said":
                    break
        await world.assert_nothing_left(outbound=1)
    (leg,) = world.carrier.legs
    assert leg.hangup is not None
    assert leg.hangup.source == "caller"
    heard, sample_rate = leg.recording()
    assert np.count_nonzero(heard[1]) > 0.9 * SENTENCE_SECONDS * sample_rate
    assert call.outcome is not None
    assert (call.outcome.ended_by, call.outcome.reason) == ("us", EndReason.LEFT)


async def busy(open_world: OpenWorld) -> None:
    """Whom we call is on the phone."""
    async with open_world() as world:
        world.carrier.phones[CALLEE] = Phone(outcome="busy", answer_after=0.05)
        with pytest.raises(CallBusy) as caught:
            async with world.server.dial(to=CALLEE):
                pytest.fail("nobody has answered")
        await world.assert_nothing_left(outbound=1)
    assert caught.value.hangup_cause == "user_busy"


async def rejected(open_world: OpenWorld) -> None:
    """Whom we call does not want to talk."""
    async with open_world() as world:
        world.carrier.phones[CALLEE] = Phone(outcome="rejected", answer_after=0.05)
        with pytest.raises(CallRejected) as caught:
            async with world.server.dial(to=CALLEE):
                pytest.fail("nobody has answered")
        await world.assert_nothing_left(outbound=1)
    assert caught.value.hangup_cause == "call_rejected"


async def no_answer(open_world: OpenWorld) -> None:
    """Whom we call lets it ring; we stop ringing when our patience is over."""
    async with open_world() as world:
        world.carrier.phones[CALLEE] = Phone(outcome="no_answer")
        with pytest.raises(CallNoAnswer):
            async with world.server.dial(to=CALLEE, answer_timeout=0.3):
                pytest.fail("nobody has answered")
        await world.assert_nothing_left(outbound=1)
    (leg,) = world.carrier.legs
    assert leg.hangup is not None
    assert leg.hangup.cause == "originator_cancel"


async def remote_hangup_in_speech(open_world: OpenWorld) -> None:
    """The caller hangs up while the agent speaks; what was queued is not played, or waited for."""
    agent = Agent(speech=PcmData(8000, samples=np.full(8000 * 20, 1000, np.int16)))
    async with open_world(agent) as world:
        leg = await world.carrier.call_in(to=OUR_NUMBER, phone=Phone(hang_up_at=0.4))
        await leg.wait_ended()
        with trio.fail_after(3):
            await world.assert_nothing_left(inbound=1)
    heard, sample_rate = leg.recording()
    assert abs(np.count_nonzero(heard[1]) / sample_rate - 0.4) < LATENESS
    assert agent.send_failed
    assert agent.outcome.ended_by == "them"
    assert agent.outcome.reason is EndReason.HANGUP
    assert agent.outcome.hangup_cause == "normal_clearing"


async def lost_socket(open_world: OpenWorld) -> None:
    """The media socket is lost without a word; the leg, still up at the carrier, is hung up."""
    agent = Agent()
    async with open_world(agent) as world:
        leg = await world.carrier.call_in(to=OUR_NUMBER, phone=Phone(vanish_at=0.3))
        hangup = await leg.wait_ended()
        await world.assert_nothing_left(inbound=1)
    assert hangup.source == "callee"
    assert agent.outcome.ended_by == "them"
    assert agent.outcome.reason is EndReason.CONNECTION_LOST


SCENARIOS: Final[tuple[Scenario, ...]] = (
    inbound,
    inbound_with_header_token,
    outbound,
    outbound_hung_up_by_us,
    busy,
    rejected,
    no_answer,
    remote_hangup_in_speech,
    lost_socket,
    pcma_leg_with_pcmu_return,
    l16_little_endian,
    l16_big_endian,
    g722_leg,
    opus_leg,
    hd_over_g722_leg,
    opus_in_g722_out,
)
