"""Commands that connect legs, play to them, record them and gather keys from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from ._account import Account
from ._commands import Body, read_number, read_options, read_text, require
from ._exchange import Exchange
from ._leg_values import LegOptions, LegState
from ._legs import Leg
from ._media_commands import (
    read_gather,
    read_gather_using,
    read_playback,
    read_record,
    read_speak,
    read_stop,
)
from ._refusals import Refusal
from ._settings import CarrierSettings


class MediaActions:
    """Carries the commands out.

    Args:
        exchange: the legs.
        account: whose applications transfer.
        settings: how the carrier behaves.
        find: returns a leg by its ``call_control_id``; may raise ``Refusal``.
    """

    def __init__(
        self,
        exchange: Exchange,
        account: Account,
        settings: CarrierSettings,
        find: Callable[[str], Leg],
    ) -> None:
        self._exchange = exchange
        self._account = account
        self._settings = settings
        self._find = find

    def table(self) -> Mapping[str, Callable[[Leg, Body], None]]:
        """Return what carries out each command, by its name in the path."""
        answered: dict[str, Callable[[Leg, Body], None]] = {
            "transfer": self._transfer,
            "bridge": self._bridge,
            "speak": self._speak,
            "playback_start": self._start_playback,
            "playback_stop": self._stop_playback,
            "record_stop": self._stop_recording,
            "record_pause": self._pause_recording,
            "record_resume": self._resume_recording,
            "gather": self._gather,
            "gather_using_speak": self._gather_using_speak,
            "gather_using_audio": self._gather_using_audio,
            "gather_stop": self._stop_gather,
            "refer": self._refer,
            "enqueue": self._enqueue,
        }
        return {
            "client_state_update": self._update_client_state,
            "record_start": self._start_recording,
            **{name: partial(_when_answered, act) for name, act in answered.items()},
        }

    def _transfer(self, leg: Leg, body: Body) -> None:
        require(body, "to")
        to = read_number(body, "to")
        from_ = read_number(body, "from") if body.get("from") else leg.names.to
        application = self._account.may_dial(
            leg.names.connection_id, to, restricted=self._settings.restricted_account
        )
        options = LegOptions()
        target_state = {"client_state": read_text(body, "target_leg_client_state")}
        read_options({**body, **target_state}, options)
        read_options({"client_state": body.get("client_state")}, leg.options)
        options.park_after_unbridge = False
        leg.options.park_after_unbridge = _parks(body)
        self._exchange.place(
            "outgoing",
            application,
            to=to,
            from_=from_,
            phone=self._exchange.book.find(to),
            options=options,
            bridge_with=leg,
        )

    def _bridge(self, leg: Leg, body: Body) -> None:
        require(body, "call_control_id")
        other = self._find(read_text(body, "call_control_id") or "")
        if not other.is_alive:
            raise Refusal(422, "90018", "the other call has already ended", "call_control_id")
        if other.state is LegState.RINGING:
            detail = "the other call has not been answered yet"
            raise Refusal(422, "90034", detail, "call_control_id")
        if other is leg:
            raise Refusal(422, "10015", "a call cannot be bridged with itself", "call_control_id")
        if body.get("prevent_double_bridge") is True and (
            leg.bridging.partner or other.bridging.partner
        ):
            raise Refusal(422, "10015", "one of the calls is bridged already")
        parks = _parks(body)
        read_options(body, leg.options)
        leg.options.park_after_unbridge = parks
        leg.bridging.join(other)

    def _speak(self, leg: Leg, body: Body) -> None:
        announcement, stop = read_speak(body), read_stop(body)
        read_options(body, leg.options)
        leg.announcer.play(announcement, stop)

    def _start_playback(self, leg: Leg, body: Body) -> None:
        announcement = read_playback(body, self._exchange.link.download)
        stop = read_stop(body)
        read_options(body, leg.options)
        leg.announcer.play(announcement, stop)

    def _stop_playback(self, leg: Leg, body: Body) -> None:
        stop = read_stop(body) or "all"
        read_options(body, leg.options)
        leg.announcer.stop(stop, overlay=body.get("overlay") is True)

    def _start_recording(self, leg: Leg, body: Body) -> None:
        if leg.state is LegState.RINGING:
            raise Refusal(422, "90020", "there is no audio to record before the answer")
        request = read_record(body)
        if leg.recorder.is_running:
            raise Refusal(422, "10015", "the call is being recorded already")
        read_options(body, leg.options)
        leg.recorder.start(request)

    def _stop_recording(self, leg: Leg, body: Body) -> None:
        recording_id = read_text(body, "recording_id")
        read_options(body, leg.options)
        leg.recorder.stop(recording_id)

    def _pause_recording(self, leg: Leg, body: Body) -> None:
        read_options(body, leg.options)
        leg.recorder.pause()

    def _resume_recording(self, leg: Leg, body: Body) -> None:
        read_options(body, leg.options)
        leg.recorder.resume()

    def _gather(self, leg: Leg, body: Body) -> None:
        request = read_gather(body)
        read_options(body, leg.options)
        leg.gathering.start(request)

    def _gather_using_speak(self, leg: Leg, body: Body) -> None:
        request = read_gather_using(body, partial(read_speak, body), "payload")
        read_options(body, leg.options)
        leg.gathering.start(request)

    def _gather_using_audio(self, leg: Leg, body: Body) -> None:
        read_prompt = partial(read_playback, body, self._exchange.link.download)
        request = read_gather_using(body, read_prompt, "audio_url")
        read_options(body, leg.options)
        leg.gathering.start(request)

    def _stop_gather(self, leg: Leg, body: Body) -> None:
        read_options(body, leg.options)
        leg.gathering.stop("cancelled")

    def _update_client_state(self, leg: Leg, body: Body) -> None:
        require(body, "client_state")
        read_options(body, leg.options)

    def _refer(self, leg: Leg, body: Body) -> None:
        require(body, "sip_address")
        address = read_text(body, "sip_address") or ""
        read_options(body, leg.options)
        leg.note("referred", address)
        leg.post("call.refer.started", {"sip_notify_response": 100})
        leg.post("call.refer.completed", {"sip_notify_response": 200})
        leg.release()

    def _enqueue(self, leg: Leg, body: Body) -> None:
        require(body, "queue_name")
        queue = read_text(body, "queue_name") or ""
        read_options(body, leg.options)
        leg.note("enqueued", queue)
        leg.post("call.enqueued", {"queue": queue, "current_position": 1})


def _when_answered(act: Callable[[Leg, Body], None], leg: Leg, body: Body) -> None:
    if leg.state is LegState.RINGING:
        raise Refusal(422, "90034", "the call has not been answered yet")
    act(leg, body)


def _parks(body: Body) -> bool:
    value = read_text(body, "park_after_unbridge")
    if value not in (None, "self"):
        detail = "'park_after_unbridge' must be: self"
        raise Refusal(422, "10032", detail, "park_after_unbridge")
    return value == "self"
