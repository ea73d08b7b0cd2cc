"""REST answers in Telnyx's shapes, and the errors that it refuses requests with."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

_TITLES: Final = {
    "10003": "Invalid URL",
    "10004": "Missing required parameter",
    "10005": "Resource not found",
    "10009": "Authentication failed",
    "10010": "Authorization failed",
    "10011": "Too many requests",
    "10015": "Bad request",
    "10016": "Phone number must be in +E.164 format",
    "10017": "Associated resource does not exist",
    "10021": "Resource in use",
    "10032": "Invalid enumerated value",
    "10033": "Value outside of range",
    "10037": "Service unavailable",
    "10039": "Feature limited at this account level",
    "90010": "Invalid payload",
    "90015": "Invalid Call Control ID",
    "90017": "Invalid value for client_state",
    "90018": "Call has already ended",
    "90020": "Recording cannot be started yet",
    "90028": "Invalid value for timeout_secs",
    "90029": "Invalid value for time_limit_secs",
    "90034": "Call not answered yet",
    "90045": "Command not allowed while media streaming is used",
    "90102": "Call is outbound",
}


@dataclass(frozen=True)
class Response:
    """An HTTP answer: status, headers (names in lower case), body. The body may hold secrets."""

    status: int
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = field(default=b"", repr=False)


class Refusal(Exception):
    """A request that Telnyx would refuse.

    Args:
        status: HTTP status.
        code: of Telnyx's list, developers.telnyx.com/data/api-errors.json.
        detail: for people.
        field_name: of the body's field that is wrong, with slashes down to an inner one.
        parameter: of the query that is wrong.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        field_name: str | None = None,
        *,
        parameter: str | None = None,
    ) -> None:
        self.status = status
        self.code = code
        self.detail = detail
        self.field_name = field_name
        self.parameter = parameter
        super().__init__(f"HTTP {status}, {code}: {detail}")

    def response(self) -> Response:
        """Return the answer that tells of it."""
        error: dict[str, Any] = {
            "code": self.code,
            "title": _TITLES.get(self.code, "Error"),
            "detail": self.detail,
            "meta": {"url": f"https://developers.telnyx.com/docs/overview/errors/{self.code}"},
        }
        if self.field_name is not None:
            error["source"] = {"pointer": f"/{self.field_name}"}
        elif self.parameter is not None:
            error["source"] = {"parameter": self.parameter}
        return json_response({"errors": [error]}, self.status)


def json_response(body: object, status: int = 200) -> Response:
    """Return a JSON answer."""
    return Response(status, [(b"content-type", b"application/json")], json.dumps(body).encode())
