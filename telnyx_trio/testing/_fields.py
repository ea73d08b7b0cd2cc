"""The fields of a resource: what each accepts, what it is unless it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from ._refusals import Refusal

Record: TypeAlias = dict[str, Any]
"""A resource in Telnyx's own shape, as its replies have it."""


@dataclass(frozen=True)
class Field:
    """One field that a client may set.

    Attributes:
        accepts: whether a value, not None, will do.
        wanted: what will do, in words.
        default: until somebody sets it.
        code: of Telnyx's error for a value that will not do.
        required: whether every request that creates or changes the resource must have it.
        nullable: whether None will do too.
        fields: of the object that it is; None for every other value.
    """

    accepts: Callable[[Any], bool]
    wanted: str
    default: Any = None
    code: str = "10015"
    required: bool = False
    nullable: bool = False
    fields: Fields | None = field(default=None, repr=False)


Fields: TypeAlias = Mapping[str, Field]


def text(default: str | None = "", *, required: bool = False) -> Field:
    """A string; None will do if it is the default."""
    nullable = default is None
    return Field(_is_text, "a string", default, required=required, nullable=nullable)


def texts(*default: str) -> Field:
    """A list of strings."""
    return Field(
        lambda value: isinstance(value, list) and all(map(_is_text, value)),
        "a list of strings",
        list(default),
    )


def flag(default: bool) -> Field:
    """True or false."""
    return Field(lambda value: isinstance(value, bool), "a boolean", default)


def number(least: int, most: int, default: int | None = None) -> Field:
    """A whole number within limits; None will do if it is the default."""
    return Field(
        # bool is an int in Python, but true is no number of seconds.
        lambda value: (
            isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
        ),
        f"a whole number from {least} to {most}",
        default,
        code="10033",
        nullable=default is None,
    )


def rate() -> Field:
    """A price, None for any."""
    return Field(
        lambda value: isinstance(value, int | float) and not isinstance(value, bool) and value >= 0,
        "a number, 0 or above",
        code="10033",
        nullable=True,
    )


def choice(*values: str, default: str | None) -> Field:
    """One of several strings; None will do if it is the default."""
    listed = ", ".join(values)
    return Field(
        lambda value: _is_text(value) and value in values,
        f"one of: {listed}",
        default,
        code="10032",
        nullable=default is None,
    )


def url(*, required: bool = False) -> Field:
    """An http or https URL; the empty string too unless it is required."""
    return Field(
        lambda value: _is_text(value) and (is_url(value) or (not value and not required)),
        "a URL of http:// or https://",
        "",
        code="10003",
        required=required,
        nullable=not required,
    )


def group(**fields: Field) -> Field:
    """An object of further fields."""
    return Field(lambda value: isinstance(value, dict), "an object", fields=fields)


def is_url(value: str) -> bool:
    """Return whether Telnyx would send something there."""
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and len(value) <= 2000
    except ValueError:
        return False


def defaults(fields: Fields) -> Record:
    """Return the record of a resource of which nothing is set."""
    return {
        name: deepcopy(known.default) if known.fields is None else defaults(known.fields)
        for name, known in fields.items()
    }


def check_fields(fields: Fields, body: Mapping[str, Any], path: str = "") -> Record:
    """Return the known fields of a request; unknown ones are dropped, as Telnyx does.

    Args:
        fields: that are known.
        body: of the request.
        path: to the object that the body is, for the error.

    Raises:
        Refusal: a required field is missing (10004), or a value will not do.
    """
    known: Record = {}
    for name, wanted in fields.items():
        pointer = f"{path}{name}"
        value = body.get(name)
        if wanted.required and value in (None, ""):
            raise Refusal(422, "10004", f"the '{pointer}' parameter is required", pointer)
        if name not in body:
            continue
        if value is None and wanted.nullable:
            known[name] = wanted.default if wanted.default == "" else None
            continue
        if not wanted.accepts(value):
            raise Refusal(422, wanted.code, f"'{pointer}' must be {wanted.wanted}", pointer)
        known[name] = value
        if wanted.fields is not None and isinstance(value, dict):
            known[name] = check_fields(wanted.fields, value, f"{pointer}/")
    return known


def merge(record: Record, changes: Mapping[str, Any]) -> None:
    """Take changes over into a record; an object is changed field by field."""
    for name, value in changes.items():
        if isinstance(value, dict) and isinstance(record.get(name), dict):
            merge(record[name], value)
        else:
            record[name] = value


def _is_text(value: object) -> bool:
    return isinstance(value, str)
