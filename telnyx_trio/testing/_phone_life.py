"""What a phone does by itself, each thing at its time, and the limits that the network sets."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

import trio

from ._codecs import Samples
from ._leg_audio import LegAudio
from ._leg_values import Hangup, LegOptions, LegState
from ._phone import Phone

_SIP_OF_OUTCOME: Final = {"busy": ("user_busy", "486"), "rejected": ("call_rejected", "603")}


class PhoneLeg(Protocol):
    """What a phone needs of its leg."""

    phone: Phone
    options: LegOptions
    audio: LegAudio
    state: LegState
    began_at: float

    def answer(self) -> None:
        """Take the call."""

    def end(self, hangup: Hangup) -> None:
        """End the leg."""

    def put_down(self) -> None:
        """Hang up; nothing happens when the leg has ended."""

    def press(self, digits: str) -> None:
        """Press keys."""

    def say(self, samples: Samples, sample_rate: int) -> None:
        """Speak."""

    def drop_socket(self) -> None:
        """Lose the media socket."""


async def ring_callee(leg: PhoneLeg) -> None:
    """Let a called phone ring until it answers, refuses, or the ring timeout is over."""
    outcome = leg.phone.outcome
    with trio.move_on_after(leg.options.ring_timeout):
        if outcome == "no_answer":
            await trio.sleep_forever()
        await trio.sleep(leg.phone.answer_after)
        if leg.state is not LegState.RINGING:
            return
        if outcome == "answers":
            leg.answer()
        else:
            cause, sip = _SIP_OF_OUTCOME[outcome]
            leg.end(Hangup(cause, "callee", sip))
        return
    if leg.state is LegState.RINGING:
        cause = "timeout" if leg.options.retry_on_timeout else "no_answer"
        leg.end(Hangup(cause, "unknown", "487"))


async def limit_time(leg: PhoneLeg) -> None:
    """End a leg that has just been answered when its time limit is over."""
    await trio.sleep(leg.options.time_limit)
    if leg.state is not LegState.ENDED:
        leg.end(Hangup("time_limit", "unknown", "200"))


async def hang_up_after_first_ring(leg: PhoneLeg, delay: float) -> None:
    """Put the phone down so many seconds after the first ring."""
    await trio.sleep_until(leg.began_at + delay)
    leg.put_down()


async def perform(leg: PhoneLeg) -> None:
    """Do what the phone's times from the start of the media say; the media have started."""
    phone = leg.phone
    actions: list[tuple[float, Callable[[], None]]] = [
        (at, partial(leg.press, digit)) for at, digit in phone.digits
    ]
    if phone.speak_at > 0 and (voice := phone.voice()) is not None:
        actions.append((phone.speak_at, partial(leg.say, *voice)))
    if phone.vanish_at is not None:
        actions.append((phone.vanish_at, leg.drop_socket))
    if phone.hang_up_at is not None:
        actions.append((phone.hang_up_at, leg.put_down))
    started_at = leg.audio.started_at or 0.0
    for at, action in sorted(actions, key=lambda entry: entry[0]):
        await trio.sleep_until(started_at + at)
        action()
