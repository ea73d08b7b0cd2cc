"""Our hold on a leg: whether it is ours to hang up, and hanging it up once."""

from __future__ import annotations

import enum
import logging
import uuid
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeVar

import trio

from .._errors import CallControlError
from .._lone_error import unwrap_lone_error

if TYPE_CHECKING:
    from ..call_control import TelnyxClient

T = TypeVar("T")

logger = logging.getLogger("telnyx_trio.call")

_HANDING_OVER: Final = frozenset({"transfer", "bridge", "refer", "enqueue"})
"""Commands after which the leg belongs to someone else, so that leaving must not hang it up."""

_REPLY_GRACE: Final = 5.0
"""Seconds that a cancelled hand-over waits for its reply, which decides about hanging up."""


class Holding(enum.Enum):
    """Whose the leg is."""

    OURS = "ours"
    HANDED_OVER = "handed over"
    OVER = "over"


class Hold:
    """Our hold on one leg.

    Args:
        client: the REST API; without it the leg can't be hung up.
    """

    def __init__(self, client: TelnyxClient | None) -> None:
        self.holding = Holding.OURS
        self._client = client
        self._lock = trio.Lock()
        # The same for every attempt, so that Telnyx takes a repetition for one.
        self._hangup_id = str(uuid.uuid4())

    @property
    def client(self) -> TelnyxClient:
        """The REST API.

        Raises:
            RuntimeError: the call was opened without one.
        """
        if self._client is None:
            raise RuntimeError("this call has no REST client: pass client= to open_call")
        return self._client

    async def hang_up(self, call_control_id: str) -> None:
        """Hang up, unless it is known that the leg is over.

        Raises:
            CallControlError: Telnyx could not be told.
        """
        if self._client is None or not call_control_id:
            await trio.lowlevel.checkpoint()
            return
        async with self._lock:
            if self.holding is not Holding.OVER:
                await self._client.hangup(call_control_id, command_id=self._hangup_id)
                self.holding = Holding.OVER

    async def let_go(self, call_control_id: str) -> None:
        """Hang up if the leg is ours; a failure is logged."""
        if self.holding is not Holding.OURS:
            await trio.lowlevel.checkpoint()
            return
        try:
            await self.hang_up(call_control_id)
        except CallControlError as error:
            logger.error("call %s: could not hang up: %s", call_control_id, error)

    def hand_over(self) -> None:
        """Note that the leg is no longer ours."""
        if self.holding is Holding.OURS:
            self.holding = Holding.HANDED_OVER

    def take_back(self) -> None:
        """Note that a hand-over came to nothing: the leg is ours to hang up again."""
        if self.holding is Holding.HANDED_OVER:
            self.holding = Holding.OURS

    def note_over(self) -> None:
        """Note that the leg has ended."""
        self.holding = Holding.OVER

    async def give(self, name: str, send: Callable[[], Awaitable[T]]) -> T:
        """Give a command, and take note if it hands the leg over.

        Args:
            name: of the command.
            send: sends it.
        """
        if name not in _HANDING_OVER:
            return await send()
        replies: list[T] = []
        with unwrap_lone_error():
            async with trio.open_nursery() as nursery:
                sending = trio.CancelScope(shield=True)
                nursery.start_soon(_limit_when_cancelled, sending)
                with sending:
                    replies.append(await send())
                    self.hand_over()
                nursery.cancel_scope.cancel()
        await trio.lowlevel.checkpoint_if_cancelled()
        return replies[0]


async def _limit_when_cancelled(scope: trio.CancelScope) -> None:
    try:
        await trio.sleep_forever()
    finally:
        scope.deadline = trio.current_time() + _REPLY_GRACE
