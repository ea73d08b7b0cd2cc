"""Recording at Telnyx, from one moment of a call to another."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import trio

from .._errors import CallControlError, RecordingFailed
from .._ring_channel import RingChannel
from ..webhooks import RecordingError, RecordingSaved, WebhookEvent
from ._ending import Ending
from ._listeners import Listeners

if TYPE_CHECKING:
    from ..call_control import TelnyxClient

logger = logging.getLogger("telnyx_trio.call")

STOP_TIMEOUT: Final = 5.0
"""Seconds that ending the recording may take on the way out."""


class CarrierRecording:
    """A recording that Telnyx makes; ``call.recording()`` gives you one."""

    def __init__(
        self,
        call_control_id: str,
        client: TelnyxClient,
        ending: Ending,
        events: RingChannel[WebhookEvent],
    ) -> None:
        self._call_control_id = call_control_id
        self._client = client
        self._ending = ending
        self._events = events
        self._saved: RecordingSaved | None = None
        self._waiting = trio.Lock()
        self._is_stopped = False

    async def pause(self) -> None:
        """Leave out what is said from now on, such as a card number.

        Raises:
            CallControlError: Telnyx refused, or could not be reached.
        Cancelled: it may or may not pause.
        """
        await self._client.record_pause(self._call_control_id)

    async def resume(self) -> None:
        """Record on after a pause.

        Raises:
            CallControlError: Telnyx refused, or could not be reached.
        Cancelled: it may or may not go on.
        """
        await self._client.record_resume(self._call_control_id)

    async def wait_saved(self) -> RecordingSaved:
        """Wait until Telnyx has saved it, which it does some time after its end.

        For after the block, or after ``stop``. The links in it live for ten minutes.

        Raises:
            RecordingFailed: Telnyx could not record.
            CallEnded: the call ended, and no word of the recording came within a second. It may
                be saved all the same: Telnyx then tells the webhook of the application.
        """
        async with self._waiting:
            if self._saved is not None:
                return self._saved
            async for event in self._events:
                if isinstance(event, RecordingSaved):
                    self._saved = event
                    return event
                if isinstance(event, RecordingError):
                    raise RecordingFailed(self._call_control_id, event.reason)
        raise self._ending.error(self._call_control_id)

    async def stop(self) -> None:
        """End the recording now; leaving the block does it too.

        Raises:
            CallControlError: Telnyx refused, or could not be reached.
        Cancelled: leaving the block ends it.
        """
        if self._is_stopped:
            await trio.lowlevel.checkpoint()
            return
        await self._client.record_stop(self._call_control_id)
        self._is_stopped = True


@asynccontextmanager
async def open_carrier_recording(
    call_control_id: str,
    client: TelnyxClient,
    ending: Ending,
    listeners: Listeners,
    fields: dict[str, Any],
) -> AsyncIterator[CarrierRecording]:
    """Record while the block runs; see ``Call.recording``."""
    events = listeners.open(RecordingSaved, RecordingError)
    recording = CarrierRecording(call_control_id, client, ending, events)
    try:
        await client.record_start(call_control_id, **fields)
    except Exception:
        raise
    except BaseException:
        # Cancelled: it may have been begun.
        await _stop(recording, call_control_id)
        raise
    try:
        yield recording
    finally:
        await _stop(recording, call_control_id)


async def _stop(recording: CarrierRecording, call_control_id: str) -> None:
    with trio.move_on_after(STOP_TIMEOUT, shield=True):
        try:
            await recording.stop()
        except CallControlError as error:
            # The call is over, or Telnyx out of reach: the recording ends with the call.
            logger.info("call %s: recording not stopped: %s", call_control_id, error)
