"""A Telnyx account in memory: applications, numbers, profiles. Written from Telnyx's documentation.

It knows nothing of the library and nothing of the library's simulator. What it is asked can be made
to go wrong: before it takes effect, or afterwards, with the reply lost.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit

import httpx
import trio

API_KEY: Final = "KEY-fake-account"
BASE_URL: Final = "https://telnyx.example/v2"
OUR_NUMBER: Final = "+15550100009"
OUR_NUMBER_ID: Final = "1293384261075731499"
PROFILE_ID: Final = "1293384261075731461"
EARLIER_CONNECTION_ID: Final = "1293384261075731401"

Json: TypeAlias = dict[str, Any]


class Fault(enum.Enum):
    """What is to go wrong with one request."""

    REFUSED = "422 before it takes effect"
    UNAVAILABLE = "503 before it takes effect"
    LOST_BEFORE = "connection lost before it takes effect"
    LOST_AFTER = "connection lost after it took effect"
    UNAVAILABLE_AFTER = "503 after it took effect"
    SILENT_AFTER = "no reply after it took effect"
    SILENT_BEFORE = "no reply, and no effect"


@dataclass(frozen=True)
class Asked:
    """One request, as it came."""

    method: str
    path: str
    query: dict[str, str]
    body: Json

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


Watch: TypeAlias = Callable[[int, Asked, str], Fault | None]
"""Called with the request's number from 1, the request, and "before" or "after" its effect."""


@dataclass
class FakeAccount:
    """The account, and what has been asked of it."""

    applications: dict[str, Json] = field(default_factory=dict)
    numbers: dict[str, Json] = field(default_factory=dict)
    profiles: dict[str, Json] = field(default_factory=dict)
    verified: set[str] = field(default_factory=set)
    asked: list[Asked] = field(default_factory=list)
    takes_plus: bool = True
    takes_empty_connection: bool = True
    watch: Watch | None = None
    next_id: int = 1700000000000000001

    @classmethod
    def furnished(cls, **settings: Any) -> FakeAccount:
        """Make an account with one profile, one number, and an application that it is routed to."""
        account = cls(**settings)
        account.profiles[PROFILE_ID] = {"id": PROFILE_ID, "name": "Default", "enabled": True}
        account.applications[EARLIER_CONNECTION_ID] = {
            "id": EARLIER_CONNECTION_ID,
            "record_type": "call_control_application",
            "application_name": "the shop's own",
            "active": True,
            "webhook_event_url": "https://shop.example/telnyx/events",
            "webhook_api_version": "2",
            "outbound": {"outbound_voice_profile_id": PROFILE_ID},
        }
        account.numbers[OUR_NUMBER_ID] = {
            "id": OUR_NUMBER_ID,
            "record_type": "phone_number",
            "phone_number": OUR_NUMBER,
            "status": "active",
            "connection_id": EARLIER_CONNECTION_ID,
        }
        return account

    @property
    def state(self) -> str:
        """Everything that must be as before when a temporary set-up is over."""
        return json.dumps([self.applications, self.numbers, self.profiles], sort_keys=True)

    @property
    def routed_to(self) -> str | None:
        """Where the number's calls go."""
        routed: str | None = self.numbers[OUR_NUMBER_ID]["connection_id"]
        return routed

    def handle(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        """Answer one request; ``target`` is path and query, from "/v2/" on."""
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        asked = Asked(method, parts.path.removeprefix("/v2"), query, json.loads(body or b"{}"))
        self.asked.append(asked)
        number = len(self.asked)
        fault = self.watch(number, asked, "before") if self.watch else None
        if fault is not None and fault in _BEFORE:
            return _BEFORE[fault]
        if headers.get("authorization") != f"Bearer {API_KEY}":
            return refuse(401, "10009", "Authentication failed")
        answer = self._act(asked)
        late = self.watch(number, asked, "after") if self.watch else None
        fault = late or fault
        return _AFTER[fault] if fault is not None and fault in _AFTER else answer

    def _act(self, asked: Asked) -> Answer:
        _, collection, *rest = asked.path.split("/")
        key = unquote(rest[0]) if rest else None
        if collection == "call_control_applications":
            return self._act_on_applications(asked, key)
        if collection == "phone_numbers":
            return self._act_on_numbers(asked, key)
        if collection == "outbound_voice_profiles":
            return _read(self.profiles, key, asked.query)
        if collection == "verified_numbers" and key in self.verified:
            return 200, {"data": {"phone_number": key, "record_type": "verified_number"}}
        return refuse(404, "10005", "Resource not found")

    def _act_on_applications(self, asked: Asked, key: str | None) -> Answer:
        if asked.method == "POST":
            for name in ("application_name", "webhook_event_url"):
                if not asked.body.get(name):
                    return refuse(422, "10004", f"{name} is required")
            self.next_id += 1
            made = {
                "id": str(self.next_id),
                "record_type": "call_control_application",
                "active": True,
                "webhook_api_version": "1",
                "created_at": "2026-04-01T10:00:00Z",
                **asked.body,
            }
            self.applications[made["id"]] = made
            return 200, {"data": made}
        if key is None:
            wanted = asked.query.get("filter[application_name][contains]", "")
            if len(wanted) in (1, 2):
                return refuse(422, "10015", "three characters at least")
            found = {k: v for k, v in self.applications.items() if wanted in v["application_name"]}
            return _read(found, None, asked.query)
        if key not in self.applications:
            return refuse(404, "10005", "Resource not found")
        if asked.method == "PATCH":
            self.applications[key] |= asked.body
        if asked.method == "DELETE":
            return 200, {"data": self.applications.pop(key)}
        return 200, {"data": self.applications[key]}

    def _act_on_numbers(self, asked: Asked, key: str | None) -> Answer:
        if key is None:
            wanted = asked.query.get("filter[phone_number]", "")
            if not self.takes_plus and not wanted.isdigit():
                return 200, _page([], asked.query)
            found = {k: v for k, v in self.numbers.items() if wanted in v["phone_number"]}
            return _read(found, None, asked.query)
        if key not in self.numbers:
            return refuse(404, "10005", "Resource not found")
        if asked.method == "PATCH":
            connection_id = asked.body["connection_id"]
            if connection_id == "" and not self.takes_empty_connection:
                return refuse(422, "10015", "connection_id is invalid")
            if connection_id and connection_id not in self.applications:
                return refuse(422, "10015", "there is no such connection")
            self.numbers[key]["connection_id"] = connection_id or None
        return 200, {"data": self.numbers[key]}

    def transport(self) -> httpx.AsyncBaseTransport:
        """Return a way to it for httpx, without a socket."""
        return _Transport(self)


Answer: TypeAlias = tuple[int, Json]

SILENCE: Final[Answer] = (0, {"silence": True})
HANG_UP: Final[Answer] = (0, {})


def refuse(status: int, code: str, title: str) -> Answer:
    """Return an error body as Telnyx writes them."""
    return status, {"errors": [{"code": code, "title": title, "detail": f"{title}."}]}


_BEFORE: Final = {
    Fault.REFUSED: refuse(422, "10027", "Unprocessable"),
    Fault.UNAVAILABLE: refuse(503, "10037", "Service unavailable"),
    Fault.LOST_BEFORE: HANG_UP,
    Fault.SILENT_BEFORE: SILENCE,
}
_AFTER: Final = {
    Fault.LOST_AFTER: HANG_UP,
    Fault.UNAVAILABLE_AFTER: refuse(503, "10037", "Service unavailable"),
    Fault.SILENT_AFTER: SILENCE,
}


def _read(things: dict[str, Json], key: str | None, query: dict[str, str]) -> Answer:
    if key is None:
        return 200, _page(list(things.values()), query)
    if key not in things:
        return refuse(404, "10005", "Resource not found")
    return 200, {"data": things[key]}


def _page(items: list[Json], query: dict[str, str]) -> Json:
    number, size = int(query.get("page[number]", 1)), int(query.get("page[size]", 20))
    return {
        "data": items[(number - 1) * size : number * size],
        "meta": {
            "page_number": number,
            "page_size": size,
            "total_pages": -(-len(items) // size),
            "total_results": len(items),
        },
    }


class _Transport(httpx.AsyncBaseTransport):
    def __init__(self, account: FakeAccount) -> None:
        self._account = account

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await trio.lowlevel.checkpoint()
        status, body = self._account.handle(
            request.method,
            request.url.raw_path.decode(),
            dict(request.headers),
            await request.aread(),
        )
        await trio.lowlevel.checkpoint()
        if (status, body) == SILENCE:
            await trio.sleep(10)
            raise httpx.ReadTimeout("no reply", request=request)
        if (status, body) == HANG_UP:
            raise httpx.RemoteProtocolError("connection lost", request=request)
        return httpx.Response(status, json=body)
