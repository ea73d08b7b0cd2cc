"""A REST request as the parts of the API see it: decoded, let in, and nothing of a transport."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

from ._refusals import Refusal


@dataclass(frozen=True)
class Request:
    """One request.

    Attributes:
        method: in upper case.
        path: what follows "/v2/", percent-decoded part by part.
        query: its parameters; of several with one name, the last.
        body: of JSON; empty without one.
    """

    method: str
    path: Sequence[str]
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)


def read_request(method: str, target: str, body: bytes) -> Request:
    """Read a request.

    Args:
        method: in upper case.
        target: path and query as on the wire.
        body: raw.

    Raises:
        Refusal: the path is none of the API's (404), or the body no JSON object (400).
    """
    path, _, query = target.partition("?")
    root, *parts = path.removeprefix("/").split("/")
    if root != "v2":
        raise no_such_resource()
    return Request(
        method=method,
        path=[unquote(part) for part in parts],
        query=dict(parse_qsl(query, keep_blank_values=True)),
        body=_read_json(body),
    )


def no_such_resource() -> Refusal:
    """Make the error of a path or id that leads nowhere."""
    return Refusal(404, "10005", "there is no such resource")


def _read_json(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise Refusal(400, "10015", "the body is not a JSON object")
    return fields
