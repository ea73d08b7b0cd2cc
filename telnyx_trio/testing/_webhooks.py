"""Webhooks as Telnyx sends them: its envelope, signed, delivered concurrently, retried."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final
from uuid import UUID

import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ._clock import SimulatedClock
from ._fields import Record
from ._settings import CarrierSettings, StreamingEventStyle
from ._transports import Headers, Link

_SPELLINGS: Final[dict[StreamingEventStyle, Callable[[str], str]]] = {
    "streaming.started": str,
    "call.streaming.started": lambda name: f"call.{name}",
    "streaming_started": lambda name: name.replace(".", "_"),
}


@dataclass(frozen=True)
class WebhookTarget:
    """Where the events of a leg go.

    Attributes:
        urls: tried one after the other: the application's own, then its failover URL. Kept out of
            the repr, as they may hold a token.
        api_version: of the envelope; "1" is Telnyx's old one.
        timeout: seconds that a server has to acknowledge; None is the carrier's setting.
    """

    urls: Sequence[str] = field(repr=False)
    api_version: str = "2"
    timeout: float | None = None


def webhook_target(application: Record, override: str | None = None) -> WebhookTarget:
    """Return where an application, as stored, wants its webhooks.

    Args:
        application: in Telnyx's shape.
        override: a call's own URL, which takes the place of both of the application's.
    """
    urls = (application["webhook_event_url"], application["webhook_event_failover_url"])
    return WebhookTarget(
        urls=[override] if override else [url for url in urls if url],
        api_version=application["webhook_api_version"],
        timeout=application["webhook_timeout_secs"],
    )


@dataclass(frozen=True)
class WebhookDelivery:
    """One attempt to deliver one event.

    Attributes:
        event_id: the same in every attempt and copy.
        event_type: as spelled on the wire.
        attempt: counted from 1.
        status: HTTP status of the answer, None when there was none in time.
        sent_at: seconds since the carrier opened.
        url: where it went.
        payload: of the event; kept out of the repr because it holds the ``stream_url``.
    """

    event_id: str
    event_type: str
    attempt: int
    status: int | None
    sent_at: float
    url: str = field(repr=False)
    payload: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class _Event:
    event_id: str
    event_type: str
    occurred_at: str
    payload: Mapping[str, Any]

    def envelope(self, api_version: str, attempt: int, url: str) -> dict[str, Any]:
        if api_version != "2":
            return {
                "record_type": "event",
                "event_type": self.event_type,
                "id": self.event_id,
                "created_at": self.occurred_at,
                "payload": self.payload,
            }
        data = {
            "record_type": "event",
            "event_type": self.event_type,
            "id": self.event_id,
            "occurred_at": self.occurred_at,
            "payload": self.payload,
        }
        return {"data": data, "meta": {"attempt": attempt, "delivered_to": url}}


class WebhookSender:
    """Signs and delivers events; each delivery is a task of the carrier's nursery.

    Args:
        signing_key: the account's Ed25519 key.
        settings: how often, how long.
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

    def post(self, event_type: str, payload: Mapping[str, Any], target: WebhookTarget) -> None:
        """Have an event delivered; to nobody if the target has no URL.

        Args:
            event_type: as Telnyx's reference spells it.
            payload: of the event.
            target: where it goes.
        """
        if not target.urls:
            return
        if event_type.startswith("streaming."):
            event_type = _SPELLINGS[self._settings.streaming_event_style](event_type)
        event = _Event(
            event_id=str(UUID(bytes=self._random.randbytes(16), version=4)),
            event_type=event_type if target.api_version == "2" else event_type.replace(".", "_"),
            occurred_at=self._clock.iso(),
            payload=payload,
        )
        for _ in range(self._settings.webhook_copies):
            attempted = trio.Event()
            self._first_attempts.add(attempted)
            self._nursery.start_soon(self._deliver, event, target, attempted)

    async def wait_attempted(self) -> None:
        """Wait until every event posted so far has been tried once."""
        await trio.lowlevel.checkpoint()
        for attempted in tuple(self._first_attempts):
            await attempted.wait()

    async def _deliver(self, event: _Event, target: WebhookTarget, attempted: trio.Event) -> None:
        for url in target.urls:
            delays = self._settings.webhook_retry_delays
            for attempt in range(1, len(delays) + 2):
                acknowledged = await self._attempt(event, target, url, attempt)
                self._first_attempts.discard(attempted)
                attempted.set()
                if acknowledged:
                    return
                if attempt <= len(delays):
                    await trio.sleep(delays[attempt - 1])

    async def _attempt(self, event: _Event, target: WebhookTarget, url: str, attempt: int) -> bool:
        body = json.dumps(event.envelope(target.api_version, attempt, url)).encode()
        sent_at = self._clock.elapsed()
        timeout = target.timeout if target.timeout is not None else self._settings.webhook_timeout
        status = None
        with trio.move_on_after(timeout):
            status = await self._link.post_webhook(url, self._headers(body), body)
        self.deliveries.append(
            WebhookDelivery(
                event_id=event.event_id,
                event_type=event.event_type,
                attempt=attempt,
                status=status,
                sent_at=sent_at,
                url=url,
                payload=event.payload,
            )
        )
        return status is not None and 200 <= status < 300

    def _headers(self, body: bytes) -> Headers:
        timestamp = str(int(self._wall_clock() + self._settings.clock_skew)).encode("ascii")
        signature = self._signing_key.sign(timestamp + b"|" + body)
        return [
            (b"content-type", b"application/json"),
            (b"user-agent", b"telnyx-webhooks"),
            (b"telnyx-signature-ed25519", base64.b64encode(signature)),
            (b"telnyx-timestamp", timestamp),
        ]
