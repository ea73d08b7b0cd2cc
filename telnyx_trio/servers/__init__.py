"""Servers of calls: the transport-free heart, the listener around it, and the ASGI application.

Names load on first use, as those of the package above do: who lists the calls of running servers
needs no server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_names

if TYPE_CHECKING:
    from ._asgi import AsgiApplication as AsgiApplication
    from ._config import ServerConfig as ServerConfig
    from ._control_socket import list_servers as list_servers
    from ._control_socket import open_control_socket as open_control_socket
    from ._open import open_app as open_app
    from ._open import open_server as open_server
    from ._open import serve_calls as serve_calls
    from ._self_check import check_running_server as check_running_server
    from ._server import CallServer as CallServer
    from ._values import CallSummary as CallSummary
    from ._values import Handler as Handler
    from ._values import MediaRequest as MediaRequest
    from ._values import Prepare as Prepare
    from ._values import Screen as Screen
    from ._values import ServerStatistics as ServerStatistics

_ROOMS = {
    "._asgi": ("AsgiApplication",),
    "._config": ("ServerConfig",),
    "._control_socket": ("list_servers", "open_control_socket"),
    "._open": ("open_app", "open_server", "serve_calls"),
    "._self_check": ("check_running_server",),
    "._server": ("CallServer",),
    "._values": ("CallSummary", "Handler", "MediaRequest", "Prepare", "Screen", "ServerStatistics"),
}

__getattr__, __all__ = lazy_names(__name__, _ROOMS)


def __dir__() -> list[str]:
    return __all__
