"""The examples, and the settings that lead them to a simulated carrier."""

from __future__ import annotations

import os
from pathlib import Path

from telnyx_trio.testing import Carrier

OUR_NUMBER = "+15550001111"
FRIEND = "+15550003333"


def path_of(name: str) -> Path:
    """Return the path of an example."""
    return Path(__file__).parent.parent / "examples" / f"{name}.py"


def environment(carrier: Carrier | None = None) -> dict[str, str]:
    """Return an environment whose only Telnyx settings lead to this carrier."""
    values = {
        name: value
        for name, value in os.environ.items()
        if (not name.startswith("TELNYX_") and name != "NGROK_URL")
        or name == "TELNYX_TRIO_STATE_DIR"
    }
    if carrier is not None:
        values |= {
            "TELNYX_BASE_URL": carrier.base_url,
            "TELNYX_API_KEY": carrier.api_key,
            "TELNYX_PUBLIC_KEY": carrier.public_key,
            "TELNYX_CALL_CONTROL_APP_ID": carrier.connection_id,
            "TELNYX_PHONE_NUMBER": OUR_NUMBER,
        }
    return values


def furnish(carrier: Carrier, port: int) -> None:
    """Put into the account what an example needs that is told to set nothing up."""
    carrier.webhook_url = f"http://127.0.0.1:{port}/telnyx/events"
    carrier.account.add_number(OUR_NUMBER, connection_id=carrier.connection_id)
    carrier.account.add_verified_number(FRIEND)


def local(port: int) -> list[str]:
    """Return the flags of a server that is reached without a tunnel."""
    return ["--port", str(port), "--public-url", f"http://127.0.0.1:{port}"]
