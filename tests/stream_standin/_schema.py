"""Replies of the coordinator with all that getstream's own classes of them require."""

from __future__ import annotations

import dataclasses
import datetime
import typing
from typing import Any, Final

MOMENT: Final = 1_767_225_600_000_000_000
"""Nanoseconds since 1970, as the coordinator writes time over HTTP."""

_EMPTY: Final[dict[Any, Any]] = {
    str: "",
    bool: False,
    int: 0,
    list: [],
    dict: {},
    datetime.datetime: MOMENT,
}


def reply(kind: Any, **known: Any) -> dict[str, Any]:
    """Return a reply of a class of getstream's as JSON has it, empty in what is not known."""
    hints = typing.get_type_hints(kind)
    required = {
        field.name: _empty(hints[field.name])
        for field in dataclasses.fields(kind)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    return required | known


def _empty(hint: Any) -> Any:
    if dataclasses.is_dataclass(hint):
        return reply(hint)
    return _EMPTY[typing.get_origin(hint) or hint]
