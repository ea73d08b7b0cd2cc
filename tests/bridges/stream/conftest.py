"""Tests of the bridge into a Stream call, which run where the extra [stream] is installed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from stream_standin import Standin

HAS_STREAM = find_spec("aiortc") is not None and find_spec("getstream") is not None

# What is left out is run by .ci/run, in environments of its own.
collect_ignore_glob = [] if HAS_STREAM else ["test_*.py"]


@pytest.fixture(scope="session")
def standin() -> Iterator[Standin]:
    """Run a stand-in for Stream; getstream 7, which knows but one address, is led to it."""
    from stream_standin import open_standin

    with open_standin() as standin, pytest.MonkeyPatch.context() as patch:
        if find_spec("getstream_rtc") is not None:
            import getstream_rtc

            client = partial(getstream_rtc.Client, ws_url=standin.ws_url)
            patch.setattr(getstream_rtc, "Client", client)
        yield standin
