"""Webhooks as Telnyx sends them: its envelope, signed, delivered concurrently, retried."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final
from uuid import UUID

import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ._clock import SimulatedClock
from ._settings import CarrierSettings, StreamingEventStyle
from ._transports import Headers, Link

_SPELLINGS: Final[dict[StreamingEventStyle, Callable[[str], str]]] = {
    "streaming.started": str,
    "call.streaming.started": lambda name: f"call.{name}",
    "streaming_started": lambda name: name.replace(".", "_"),
}


@dataclass(frozen=True)
class WebhookDelivery:
    """One attempt to deliver one event.

    Attributes:
        event_id: the same in every attempt and copy.
        event_type: as spelled on the wire.
        attempt: counted from 1.
        status: HTTP status of the answer, None when there was none in time.
        sent_at: seconds since the carrier opened.
        payload: of the event; kept out of the repr because it holds the ``stream_url``.
    """

    event_id: str
    event_type: str
    attempt: int
    status: int | None
    sent_at: float
    payload: Mapping[str, Any] = field(repr=False)


class WebhookSender:
    """Signs and delivers events; each delivery is a task of the carrier's nursery.

    Args:
        signing_key: the account's Ed25519 key.
        settings: where to, how often, how long.
        link: the open transport.
        nursery: owner of the deliveries.
        clock: of ``occurred_at``.
        random: source of event ids.
        wall_clock: of the signature's timestamp, Unix seconds.
    """

    def __init__(
        self,
        *,
        signing_key: Ed25519PrivateKey,
        settings: CarrierSettings,
        link: Link,
        nursery: trio.Nursery,
        clock: SimulatedClock,
        random: Random,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.deliveries: list[WebhookDelivery] = []
        self._signing_key = signing_key
        self._settings = settings
        self._link = link
        self._nursery = nursery
        self._clock = clock
        self._random = random
        self._wall_clock = wall_clock
        self._first_attempts: set[trio.Event] = set()

    def post(self, event_type: str, payload: Mapping[str, Any], url: str | None = None) -> None:
        """Have an event delivered to ``url``, by default to the application's; to nobody if unset.

        Args:
            event_type: as Telnyx's reference spells it.
            payload: of the event.
            url: overrides ``settings.webhook_url``.
        """
        target = url or self._settings.webhook_url
        if not target:
            return
        if event_type.startswith("streaming."):
            event_type = _SPELLINGS[self._settings.streaming_event_style](event_type)
        data = {
            "record_type": "event",
            "event_type": event_type,
            "id": str(UUID(bytes=self._random.randbytes(16), version=4)),
            "occurred_at": self._clock.iso(),
            "payload": payload,
        }
        for _ in range(self._settings.webhook_copies):
            attempted = trio.Event()
            self._first_attempts.add(attempted)
            self._nursery.start_soon(self._deliver, data, target, attempted)

    async def wait_attempted(self) -> None:
        """Wait until every event posted so far has been tried once."""
        await trio.lowlevel.checkpoint()
        for attempted in tuple(self._first_attempts):
            await attempted.wait()

    async def _deliver(self, data: Mapping[str, Any], url: str, attempted: trio.Event) -> None:
        attempt = 1
        while True:
            acknowledged = await self._attempt(data, url, attempt)
            self._first_attempts.discard(attempted)
            attempted.set()
            delays = self._settings.webhook_retry_delays
            if acknowledged or attempt > len(delays):
                return
            await trio.sleep(delays[attempt - 1])
            attempt += 1

    async def _attempt(self, data: Mapping[str, Any], url: str, attempt: int) -> bool:
        body = json.dumps(
            {"data": data, "meta": {"attempt": attempt, "delivered_to": url}}
        ).encode()
        sent_at = self._clock.elapsed()
        status = None
        with trio.move_on_after(self._settings.webhook_timeout):
            status = await self._link.post_webhook(url, self._headers(body), body)
        self.deliveries.append(
            WebhookDelivery(
                event_id=data["id"],
                event_type=data["event_type"],
                attempt=attempt,
                status=status,
                sent_at=sent_at,
                payload=data["payload"],
            )
        )
        return status is not None and 200 <= status < 300

    def _headers(self, body: bytes) -> Headers:
        timestamp = str(int(self._wall_clock())).encode("ascii")
        signature = self._signing_key.sign(timestamp + b"|" + body)
        return [
            (b"content-type", b"application/json"),
            (b"user-agent", b"telnyx-webhooks"),
            (b"telnyx-signature-ed25519", base64.b64encode(signature)),
            (b"telnyx-timestamp", timestamp),
        ]
