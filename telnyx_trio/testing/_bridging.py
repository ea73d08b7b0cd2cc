"""Two legs that hear each other: by ``bridge``, or by a ``transfer`` that was answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import trio

from ._announcer import Ears
from ._leg_audio import LegAudio
from ._leg_values import LegNames, LegOptions


class BridgedLeg(Protocol):
    """What bridging needs of a leg."""

    names: LegNames
    options: LegOptions
    audio: LegAudio
    bridging: Bridging

    @property
    def is_alive(self) -> bool:
        """Whether the leg has not ended."""

    def start_media(self) -> None:
        """Start the sample clock, if it does not run yet."""

    def release(self) -> None:
        """Hang up on this side of the network."""

    def post(self, event_type: str, payload: Mapping[str, Any]) -> None:
        """Send a webhook."""

    def note(self, kind: str, detail: str = "") -> None:
        """Write into the leg's diary."""


class Bridging:
    """Whom a leg is connected with, or is going to be.

    Args:
        leg: whose.

    Attributes:
        partner: the leg that it is bridged with.
        target: the leg that rings in order to be bridged with this one.
        origin: the leg that this one, while it rings, is the target of.
    """

    def __init__(self, leg: BridgedLeg) -> None:
        self.partner: BridgedLeg | None = None
        self.target: BridgedLeg | None = None
        self.origin: BridgedLeg | None = None
        self._leg = leg

    def expect(self, target: BridgedLeg) -> None:
        """Be bridged with a leg when it is answered; another one that rings is given up."""
        self.give_up_target()
        self.target, target.bridging.origin = target, self._leg

    def give_up_target(self) -> None:
        """Let the target ring no more, if there is one."""
        if self.target is not None:
            self.target.release()

    def forget_origin(self) -> None:
        """Be nobody's target any more."""
        if self.origin is not None:
            self.origin.bridging.target = None
            self.origin = None

    def join(self, other: BridgedLeg) -> None:
        """Let both hear each other; whoever either was bridged with is left alone."""
        pair = (self._leg, other)
        other.bridging.forget_origin()
        if self.partner is not other:
            for leg in pair:
                leg.bridging.part()
                leg.start_media()
            for leg, far in (pair, pair[::-1]):
                leg.bridging.partner = far
                leg.audio.join(far.audio, trio.current_time())
                leg.note("bridged", far.names.call_leg_id)
        for leg in pair:
            leg.post("call.bridged", {})

    def part(self) -> None:
        """End the bridge, if there is one; the other leg hangs up unless it is to be parked."""
        other = self.partner
        if other is None:
            return
        for leg in (self._leg, other):
            leg.bridging.partner = None
            leg.audio.part(trio.current_time())
            leg.note("unbridged")
        if other.is_alive and not other.options.park_after_unbridge:
            other.release()

    def ears(self, which: Ears) -> list[LegAudio]:
        """Return who hears what is played to this leg, to the opposite one, or to both."""
        if self.partner is None or which == "self":
            return [self._leg.audio]
        opposite = self.partner.audio
        return [opposite] if which == "opposite" else [self._leg.audio, opposite]
