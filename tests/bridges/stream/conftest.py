"""Tests of the bridge into a Stream call, which run where the extra [stream] is installed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from stream_standin import Standin

HAS_STREAM = find_spec("aiortc") is not None and find_spec("getstream") is not None

# What is left out is run by .ci/run, in environments of its own, where nothing may be left out.
IS_NEEDED = "TELNYX_TRIO_NEEDS_GETSTREAM" in os.environ
collect_ignore_glob = [] if HAS_STREAM or IS_NEEDED else ["test_*.py"]


@pytest.fixture(scope="module")
def standin() -> Iterator[Standin]:
    """Run a stand-in for Stream; getstream 7, which knows but one address, is led to it.

    It ends with the tests of a file: aiortc takes from the shared :mod:`random` now and then,
    and hypothesis, which other tests use, takes that in its own turn for a fault of theirs.
    """
    from stream_standin import getstream_led_to, open_standin

    with open_standin() as standin, getstream_led_to(standin.url):
        yield standin
