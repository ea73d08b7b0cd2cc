"""Collecting keys on a leg: prompts, tries and the one webhook that tells what came of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import trio

from ._announcer import Announcement, Announcer, Play
from ._gather import Gather, GatherRules, GatherStatus


@dataclass(frozen=True)
class GatherRequest:
    """What a command asked for.

    Attributes:
        rules: of the collecting.
        prompts: played before each try: the first, then the further ones; empty for none.
        fields: of the webhook, besides the common ones.
    """

    rules: GatherRules
    prompts: Sequence[Announcement] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)


class GatheringLeg(Protocol):
    """What collecting needs of its leg."""

    def start_media(self) -> None:
        """Start the sample clock, if it does not run yet."""

    def post(self, event_type: str, payload: Mapping[str, Any]) -> None:
        """Send a webhook."""


class Gathering:
    """Collects keys of a leg, one command at a time, in tasks of the carrier's nursery.

    A key press stops the prompt. A try that is not valid is followed by the next prompt's.

    Args:
        leg: whose.
        announcer: of the same leg.
        nursery: of the carrier.
    """

    def __init__(self, leg: GatheringLeg, announcer: Announcer, nursery: trio.Nursery) -> None:
        self._leg = leg
        self._announcer = announcer
        self._nursery = nursery
        self._request: GatherRequest | None = None
        self._gather: Gather | None = None
        self._prompt: Play | None = None
        self._scope = trio.CancelScope()
        self._nap = trio.CancelScope()

    def start(self, request: GatherRequest) -> None:
        """Collect keys from now on; what another command collects is cancelled."""
        self.stop("cancelled")
        self._leg.start_media()
        self._request = request
        self._scope = trio.CancelScope()
        self._gather = Gather(request.rules)
        self._nursery.start_soon(self._run, request, self._gather, self._scope)

    def press(self, digit: str) -> None:
        """Take a key, if keys are collected."""
        if self._gather is None:
            return
        self._gather.press(digit, trio.current_time())
        if self._prompt is not None:
            self._announcer.cancel(self._prompt)
        self._nap.deadline = -math.inf

    def stop(self, status: GatherStatus) -> None:
        """Collect no more; nothing happens if nothing is collected."""
        if self._gather is not None:
            self._gather.end(status)
            self._finish(self._gather)

    async def _run(self, request: GatherRequest, gather: Gather, scope: trio.CancelScope) -> None:
        with scope:
            await trio.lowlevel.checkpoint()  # it may be over before it began
            first, *further = request.prompts or (None,)
            await self._try(gather, first)
            for prompt in further:
                if gather.status == "valid":
                    break
                self._gather = gather = Gather(request.rules)
                await self._try(gather, prompt)
            self._finish(gather)

    async def _try(self, gather: Gather, prompt: Announcement | None) -> None:
        if prompt is not None:
            self._prompt = self._announcer.play(prompt)
            await self._prompt.done.wait()
            self._prompt = None
        gather.start_clock(trio.current_time())
        while gather.status is None:
            with trio.CancelScope(deadline=gather.deadline) as self._nap:
                await trio.sleep_forever()
            if trio.current_time() >= gather.deadline:
                gather.expire()

    def _finish(self, gather: Gather) -> None:
        prompt, request = self._prompt, self._request
        assert request is not None
        self._gather = self._prompt = self._request = None
        self._scope.cancel()
        if prompt is not None:
            self._announcer.cancel(prompt)
        payload = {"digits": gather.digits, "status": gather.status}
        self._leg.post("call.gather.ended", payload | dict(request.fields))
