"""WebSockets as the library sees them: one small seam, and its adapters."""

from ._as_websocket import as_websocket as as_websocket
from ._asgi import AsgiWebSocket as AsgiWebSocket
from ._media_clock import IngestMode as IngestMode
from ._media_clock import IngestPolicy as IngestPolicy
from ._media_clock import MediaClock as MediaClock
from ._media_clock import Readiness as Readiness
from ._open import open_client_websocket as open_client_websocket
from ._open import open_server_websocket as open_server_websocket
from ._seam import CLOSE_TIMEOUT as CLOSE_TIMEOUT
from ._seam import InlineWebSocket as InlineWebSocket
from ._seam import WebSocket as WebSocket
from ._seam import receive_each as receive_each
from ._socket import SocketWebSocket as SocketWebSocket
from ._socket import open_socket_websocket as open_socket_websocket
from ._starlette import StarletteWebSocket as StarletteWebSocket
from ._state import WebSocketRejected as WebSocketRejected
from ._trio import TrioWebSocket as TrioWebSocket
