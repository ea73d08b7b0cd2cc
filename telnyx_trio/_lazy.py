"""Public names that load on first use (PEP 562), so that a program pays for what it uses only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module


def lazy_names(
    package: str, rooms: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], object], list[str]]:
    """Make a package's ``__getattr__``, and list the names that it serves.

    Args:
        package: ``__name__`` of the package.
        rooms: the names that each of its modules provides.
    """
    room_of = {name: room for room, names in rooms.items() for name in names}

    def get(name: str) -> object:
        try:
            room = room_of[name]
        except KeyError:
            raise AttributeError(f"module {package!r} has no attribute {name!r}") from None
        value: object = getattr(import_module(room, package), name)
        setattr(sys.modules[package], name, value)
        return value

    return get, sorted(room_of)
