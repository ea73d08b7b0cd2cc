"""Servers of calls: the transport-free heart, the listener around it, and the ASGI application."""

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
