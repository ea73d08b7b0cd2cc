"""Python's garbage collector while a server is open."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from server_world import open_world

from telnyx_trio.servers._collector import GC_THRESHOLD, collecting_less_often


@pytest.fixture(autouse=True)
def _collector() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(700, 11, 12)
    yield
    gc.set_threshold(*before)


def test_threshold_is_raised_and_put_back() -> None:
    with pytest.raises(LookupError), collecting_less_often(5000):
        assert gc.get_threshold() == (5000, 2, 2)
        raise LookupError
    assert gc.get_threshold() == (700, 11, 12)


@pytest.mark.parametrize(("own", "asked"), [(700, 0), (9000, 5000), (5000, 5000), (0, 5000)])
def test_threshold_that_fits_is_left_alone(own: int, asked: int) -> None:
    """0 is a collector that is switched off."""
    gc.set_threshold(own, 11, 12)
    with collecting_less_often(asked):
        assert gc.get_threshold() == (own, 11, 12)
    assert gc.get_threshold() == (own, 11, 12)


def test_threshold_that_somebody_else_sets_stays() -> None:
    with collecting_less_often(5000):
        gc.set_threshold(6000, 5, 5)
    assert gc.get_threshold() == (6000, 5, 5)


async def test_server_raises_it_as_long_as_it_is_open() -> None:
    async def handler(_: object) -> None: ...

    async with open_world(handler):
        assert gc.get_threshold()[0] == GC_THRESHOLD
    assert gc.get_threshold() == (700, 11, 12)
    async with open_world(handler, gc_threshold=0):
        assert gc.get_threshold() == (700, 11, 12)
