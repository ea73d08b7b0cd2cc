"""Servers of calls: the transport-free heart, the listener around it, and the ASGI application."""

from ._asgi import AsgiApplication as AsgiApplication
from ._config import ServerConfig as ServerConfig
from ._config import normalise_public_url as normalise_public_url
from ._open import open_app as open_app
from ._open import open_server as open_server
from ._open import serve_calls as serve_calls
from ._server import CallServer as CallServer
from ._server import MediaRequest as MediaRequest
from ._server import ServerStatistics as ServerStatistics
