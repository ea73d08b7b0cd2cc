"""The client's methods for commands on an answered call, beyond answering and hanging up."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from typing import Any

from ._call_commands import (
    PayloadType,
    RecordingChannels,
    RecordingFormat,
    StopWhich,
    bridge_command,
    gather_command,
    gather_using_audio_command,
    gather_using_speak_command,
    playback_start_command,
    playback_stop_command,
    record_start_command,
    speak_command,
    transfer_command,
)
from ._commands import Command, action_command, client_state_update_command


def new_command_id() -> str:
    """Return an id that no other command has."""
    return str(uuid.uuid4())


class CallMethods(ABC):
    """Commands on an answered call; part of ``TelnyxClient``, whose rules hold for each.

    ``fields`` takes ``client_state`` and ``command_id`` too.
    """

    @abstractmethod
    async def _post(self, command: Command) -> dict[str, Any]: ...

    async def transfer(
        self,
        call_control_id: str,
        to: str,
        *,
        from_: str | None = None,
        timeout_secs: int | None = None,
        target_leg_client_state: str | None = None,
        **fields: Any,
    ) -> None:
        """Have Telnyx ring ``to`` and connect the call to it; the leg to us ends with that.

        Args:
            call_control_id: of an answered call.
            to: E.164 number or SIP URI.
            from_: number to show; Telnyx takes the call's own.
            timeout_secs: how long it may ring, 5 to 600; Telnyx's default is 30.
            target_leg_client_state: base64; comes in the webhooks of the leg that is rung.
            fields: see the class.

        Cancelled: the call may or may not be transferred.
        """
        await self._post(
            transfer_command(
                call_control_id,
                to,
                from_=from_,
                timeout_secs=timeout_secs,
                target_leg_client_state=target_leg_client_state,
                **_with_id(fields),
            )
        )

    async def bridge(self, call_control_id: str, other: str, **fields: Any) -> None:
        """Connect a call to another that is up; ``other`` is its ``call_control_id``.

        Cancelled: they may or may not be connected.
        """
        await self._post(bridge_command(call_control_id, other, **_with_id(fields)))

    async def speak(
        self,
        call_control_id: str,
        payload: str,
        *,
        voice: str,
        payload_type: PayloadType | None = None,
        language: str | None = None,
        **fields: Any,
    ) -> None:
        """Have Telnyx speak a text; ``call.speak.ended`` tells when it has.

        Args:
            call_control_id: of an answered call.
            payload: text, or SSML if ``payload_type`` says so; up to 5000 characters.
            voice: such as "AWS.Polly.Joanna".
            payload_type: Telnyx's default is "text".
            language: such as "en-US"; not needed for most voices.
            fields: see the class.

        Cancelled: it may or may not be spoken.
        """
        await self._post(
            speak_command(
                call_control_id,
                payload,
                voice=voice,
                payload_type=payload_type,
                language=language,
                **_with_id(fields),
            )
        )

    async def playback_start(
        self,
        call_control_id: str,
        *,
        audio_url: str | None = None,
        media_name: str | None = None,
        playback_content: str | None = None,
        **fields: Any,
    ) -> None:
        """Have Telnyx play a file; ``call.playback.ended`` tells when it has.

        Args:
            call_control_id: of an answered call.
            audio_url: of a WAV or MP3 that Telnyx can fetch.
            media_name: of a file that was uploaded to Telnyx.
            playback_content: base64 of a WAV or MP3; one of the three must be given.
            fields: see the class.

        Cancelled: it may or may not be played.
        """
        await self._post(
            playback_start_command(
                call_control_id,
                audio_url=audio_url,
                media_name=media_name,
                playback_content=playback_content,
                **_with_id(fields),
            )
        )

    async def playback_stop(
        self, call_control_id: str, *, stop: StopWhich | None = None, **fields: Any
    ) -> None:
        """Stop what ``playback_start`` and ``speak`` began; Telnyx's default is all of it.

        Cancelled: it may or may not stop.
        """
        await self._post(playback_stop_command(call_control_id, stop=stop, **_with_id(fields)))

    async def record_start(
        self,
        call_control_id: str,
        *,
        channels: RecordingChannels = "dual",
        format: RecordingFormat = "wav",
        max_length: int | None = None,
        play_beep: bool | None = None,
        **fields: Any,
    ) -> None:
        """Have Telnyx record the call; ``call.recording.saved`` tells where it can be fetched.

        Args:
            call_control_id: of an answered call with audio (before: refused with code 90020).
            channels: both parties in one channel, or each in its own.
            format: of the file.
            max_length: seconds, up to 14400; 0 is no limit.
            play_beep: before it begins.
            fields: see the class.

        Cancelled: it may or may not be recorded.
        """
        await self._post(
            record_start_command(
                call_control_id,
                channels=channels,
                format=format,
                max_length=max_length,
                play_beep=play_beep,
                **_with_id(fields),
            )
        )

    async def record_stop(self, call_control_id: str, **fields: Any) -> None:
        """End the recording. Cancelled: it may or may not end."""
        await self._plain(call_control_id, "record_stop", fields)

    async def record_pause(self, call_control_id: str, **fields: Any) -> None:
        """Leave out what is said from now on. Cancelled: it may or may not pause."""
        await self._plain(call_control_id, "record_pause", fields)

    async def record_resume(self, call_control_id: str, **fields: Any) -> None:
        """Record on after a pause. Cancelled: it may or may not go on."""
        await self._plain(call_control_id, "record_resume", fields)

    async def gather(self, call_control_id: str, **fields: Any) -> None:
        """Have Telnyx collect key presses; ``call.gather.ended`` brings them.

        Args:
            call_control_id: of an answered call.
            fields: ``minimum_digits`` (1), ``maximum_digits`` (128), ``timeout_millis`` (60000),
                ``initial_timeout_millis`` (5000), ``inter_digit_timeout_millis`` (5000),
                ``terminating_digit`` ("#"), ``valid_digits`` ("0123456789#*"), ``gather_id``; in
                brackets Telnyx's defaults. And see the class.

        Cancelled: keys may or may not be collected.
        """
        await self._post(gather_command(call_control_id, **_with_id(fields)))

    async def gather_using_speak(
        self, call_control_id: str, payload: str, *, voice: str, **fields: Any
    ) -> None:
        """Have Telnyx speak a text and collect key presses; see ``gather`` and ``speak``.

        Cancelled: as these.
        """
        await self._post(
            gather_using_speak_command(call_control_id, payload, voice=voice, **_with_id(fields))
        )

    async def gather_using_audio(
        self,
        call_control_id: str,
        *,
        audio_url: str | None = None,
        media_name: str | None = None,
        **fields: Any,
    ) -> None:
        """Have Telnyx play a file and collect key presses; see ``gather`` and ``playback_start``.

        Cancelled: as these.
        """
        await self._post(
            gather_using_audio_command(
                call_control_id, audio_url=audio_url, media_name=media_name, **_with_id(fields)
            )
        )

    async def gather_stop(self, call_control_id: str, **fields: Any) -> None:
        """Stop collecting key presses. Cancelled: it may or may not stop."""
        await self._plain(call_control_id, "gather_stop", fields)

    async def client_state_update(self, call_control_id: str, client_state: str) -> None:
        """Set the ``client_state`` (base64) that later webhooks of the leg carry.

        Cancelled: it may or may not be set.
        """
        await self._post(client_state_update_command(call_control_id, client_state))

    async def _plain(self, call_control_id: str, name: str, fields: dict[str, Any]) -> None:
        rest = _with_id(fields)
        command_id, client_state = rest.pop("command_id"), rest.pop("client_state", None)
        await self._post(
            action_command(
                call_control_id,
                name,
                command_id=command_id,
                client_state=client_state,
                fields=rest,
            )
        )


def _with_id(fields: dict[str, Any]) -> dict[str, Any]:
    return {**fields, "command_id": fields.get("command_id") or new_command_id()}
