"""One clean error out of a nursery.

A strict nursery wraps even a single failure in an ExceptionGroup. Where our tasks are an
implementation detail, a caller should see the error itself. Several errors stay a group.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import trio


@contextmanager
def unwrap_lone_error() -> Iterator[None]:
    """Let a lone error inside a group leave as itself.

    ``trio.Cancelled`` beside a real error is dropped, as an error outranks a cancellation; a group
    of nothing but ``Cancelled`` passes untouched, for the cancel scope it belongs to.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        _, real = group.split(trio.Cancelled)
        lone: BaseException | None = real
        while isinstance(lone, BaseExceptionGroup) and len(lone.exceptions) == 1:
            lone = lone.exceptions[0]
        if lone is None or isinstance(lone, BaseExceptionGroup):
            raise
        context = lone.__context__
        try:
            raise lone
        finally:
            # `raise` inside `except` would name the group as the error's context.
            lone.__context__ = context
            del context, lone, real, group
