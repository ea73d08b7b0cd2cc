"""From an account to a ringing phone: the public address, checks, and a temporary set-up."""

from ._preflight import Direction as Direction
from ._preflight import preflight as preflight
from ._preflight import require_ready as require_ready
from ._public_address import NGROK_API_URL as NGROK_API_URL
from ._public_address import find_public_url as find_public_url
