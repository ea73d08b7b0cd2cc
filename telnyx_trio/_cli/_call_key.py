"""The key that signs the webhooks of ``telnyx-trio call``, kept so that a server can trust it."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from .._state_folder import open_state_folder

_FOLDER: Final = "call"
_NAME: Final = "signing-key"


def read_signing_key() -> bytes:
    """Return the user's own private key, 32 bytes; it is drawn the first time.

    A key that is the same on every machine would let anybody sign webhooks for a server that was
    left running with it.

    Raises:
        OSError: the state folder can't be used.
    """
    path = open_state_folder(_FOLDER) / _NAME
    with suppress(FileNotFoundError):
        return path.read_bytes()
    with tempfile.NamedTemporaryFile(dir=path.parent) as file:  # nobody else may read it
        file.write(os.urandom(32))
        file.flush()
        # Under its name it is whole from the start, and another process may have been quicker.
        with suppress(FileExistsError):
            os.link(file.name, path)
    return Path(path).read_bytes()
