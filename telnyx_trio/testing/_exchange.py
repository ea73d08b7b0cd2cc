"""The table of legs: who calls, who is called, and what comes of it."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from random import Random
from uuid import UUID

import trio

from ._clock import SimulatedClock
from ._codecs import Codec
from ._fields import Record
from ._leg_audio import LegAudio
from ._leg_values import Direction, Hangup, LegNames, LegOptions, LegServices
from ._legs import Leg
from ._phone import Phone
from ._recorder import RecordingShelf
from ._settings import CarrierSettings
from ._transports import Link
from ._webhooks import WebhookSender

CALL_ID_PREFIX = "v3:"
"""How Telnyx's ``call_control_id`` starts; the rest is opaque."""


@dataclass
class PhoneBook:
    """Who answers a number.

    Attributes:
        phones: by number, as in ``to``.
        default: answers every other number.
    """

    phones: dict[str, Phone] = field(default_factory=dict)
    default: Phone = field(default_factory=Phone)

    def find(self, to: str) -> Phone:
        """Return the phone of a number; a SIP URI's parameters do not count."""
        return self.phones.get(to) or self.phones.get(to.partition(";")[0], self.default)


class Exchange:
    """Places legs and keeps them; each lives in one task of the carrier's nursery.

    Args:
        settings: how the carrier behaves.
        link: the open transport.
        webhooks: sends the events.
        nursery: owner of every leg's tasks.
        clock: of dates in replies and webhooks.
        random: source of ids.
        shelf: of recordings.
    """

    def __init__(
        self,
        *,
        settings: CarrierSettings,
        link: Link,
        webhooks: WebhookSender,
        nursery: trio.Nursery,
        clock: SimulatedClock,
        random: Random,
        shelf: RecordingShelf,
    ) -> None:
        self.legs: dict[str, Leg] = {}
        self.book = PhoneBook()
        self._settings = settings
        self._nursery = nursery
        self._random = random
        self.link = link
        self._services = LegServices(nursery, link, clock, webhooks.post, self._new_uuid, shelf)

    def place(
        self,
        direction: Direction,
        application: Record | None,
        *,
        to: str,
        from_: str,
        phone: Phone,
        options: LegOptions,
        bridge_with: Leg | None = None,
    ) -> Leg:
        """Start a leg: announce it and let it ring.

        Without an application nobody can take it: it is over before it rings.

        Args:
            direction: of the call.
            application: that takes or dials it.
            to: the number or SIP URI that is called.
            from_: the caller's.
            phone: at the other end.
            options: of the leg.
            bridge_with: a leg of the same session, to be bridged with when this one is answered.

        Raises:
            OSError: the phone's WAV file is not there.
            ValueError: it is not a 16-bit WAV file.
        """
        phone.voice()  # a file that cannot be read is the caller's error, now
        names = LegNames(
            call_control_id=self._new_call_id(),
            call_leg_id=self._new_uuid(),
            call_session_id=self._new_uuid()
            if bridge_with is None
            else bridge_with.names.call_session_id,
            connection_id="" if application is None else application["id"],
            direction=direction,
            to=to,
            from_=from_,
            dialled_id=self._new_call_id()
            if direction == "outgoing" and self._settings.renames_dialled_calls
            else None,
        )
        audio = LegAudio(self.codec_of(phone), noise=phone.noise, seed=self._random.getrandbits(32))
        leg = Leg(names, options, phone, audio, self._services, application)
        self.legs[names.call_control_id] = leg
        if application is None:
            leg.end(Hangup("not_found", "unknown", "404"))
            return leg
        if bridge_with is not None:
            bridge_with.bridging.expect(leg)
        leg.ring()
        self._nursery.start_soon(leg.live)
        return leg

    def find(self, call_control_id: str) -> Leg | None:
        """Return the leg of this name, or of the name that its dial was answered with."""
        leg = self.legs.get(call_control_id)
        if leg is None:
            named = (leg for leg in self.legs.values() if leg.names.dialled_id == call_control_id)
            leg = next(named, None)
        return leg

    def codec_of(self, phone: Phone) -> Codec:
        """Return the codec of a leg to this phone."""
        encoding = phone.leg_encoding or self._settings.leg_encoding
        return Codec.of(encoding, self._settings.leg_sample_rate, self._settings.byteorder)

    def _new_call_id(self) -> str:
        return CALL_ID_PREFIX + base64.urlsafe_b64encode(self._random.randbytes(30)).decode("ascii")

    def _new_uuid(self) -> str:
        return str(UUID(bytes=self._random.randbytes(16), version=4))
