"""Tools to test a telephony server with: a simulated carrier, WebSockets in memory.

``open_carrier`` is Telnyx in a box, for this library's tests and for yours: calls with their media,
webhooks and commands, and an account with applications, numbers and profiles. Apart from the lowest
layer and the WebSocket seam it shares no code with the library, so it cannot share its mistakes.

Names load on first use, as those of the package above do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_names

if TYPE_CHECKING:
    from ._account import CODE_OF_ANY_VERIFICATION as CODE_OF_ANY_VERIFICATION
    from ._account import Account as Account
    from ._carrier import SIMULATED_API_KEY as SIMULATED_API_KEY
    from ._carrier import Carrier as Carrier
    from ._carrier import open_carrier as open_carrier
    from ._codecs import read_wav as read_wav
    from ._codecs import write_wav as write_wav
    from ._fake_call import Doors as Doors
    from ._fake_call import FakeCall as FakeCall
    from ._fake_call import open_fake_call as open_fake_call
    from ._faults import ConnectionDropped as ConnectionDropped
    from ._faults import Fault as Fault
    from ._faults import Faults as Faults
    from ._impairments import MediaImpairments as MediaImpairments
    from ._leg_values import Hangup as Hangup
    from ._leg_values import LegEvent as LegEvent
    from ._leg_values import LegState as LegState
    from ._legs import Leg as Leg
    from ._memory_websocket import MemoryWebSocket as MemoryWebSocket
    from ._memory_websocket import memory_websocket_pair as memory_websocket_pair
    from ._phone import Phone as Phone
    from ._refusals import Response as Response
    from ._rest import RestRequest as RestRequest
    from ._settings import CarrierSettings as CarrierSettings
    from ._speech import CALLER_WAV as CALLER_WAV
    from ._speech import GREETING_WAV as GREETING_WAV
    from ._stream_values import LegCounters as LegCounters
    from ._transports import MemoryTransport as MemoryTransport
    from ._transports import SocketTransport as SocketTransport
    from ._transports import Transport as Transport
    from ._webhooks import WebhookDelivery as WebhookDelivery

_ROOMS = {
    "._account": (
        "Account",
        "CODE_OF_ANY_VERIFICATION",
    ),
    "._carrier": (
        "Carrier",
        "SIMULATED_API_KEY",
        "open_carrier",
    ),
    "._codecs": (
        "read_wav",
        "write_wav",
    ),
    "._fake_call": (
        "Doors",
        "FakeCall",
        "open_fake_call",
    ),
    "._faults": (
        "ConnectionDropped",
        "Fault",
        "Faults",
    ),
    "._impairments": ("MediaImpairments",),
    "._leg_values": (
        "Hangup",
        "LegEvent",
        "LegState",
    ),
    "._legs": ("Leg",),
    "._memory_websocket": (
        "MemoryWebSocket",
        "memory_websocket_pair",
    ),
    "._phone": ("Phone",),
    "._refusals": ("Response",),
    "._rest": ("RestRequest",),
    "._settings": ("CarrierSettings",),
    "._speech": (
        "CALLER_WAV",
        "GREETING_WAV",
    ),
    "._stream_values": ("LegCounters",),
    "._transports": (
        "MemoryTransport",
        "SocketTransport",
        "Transport",
    ),
    "._webhooks": ("WebhookDelivery",),
}

__getattr__, __all__ = lazy_names(__name__, _ROOMS)


def __dir__() -> list[str]:
    return __all__
