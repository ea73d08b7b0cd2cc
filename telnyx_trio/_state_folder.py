"""The folder in which the library keeps what must outlive a process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from platformdirs import user_state_path

STATE_FOLDER_VARIABLE: Final = "TELNYX_TRIO_STATE_DIR"


def open_state_folder(
    name: str, *, environment: Mapping[str, str] = os.environ, root: str | Path | None = None
) -> Path:
    """Return a folder of this name that nobody but the user can read; it is made if need be.

    Args:
        name: of the folder, below the root.
        environment: where ``TELNYX_TRIO_STATE_DIR`` is looked for, which replaces the user's state
            folder (such as ``~/.local/state/telnyx-trio``) as the root.
        root: goes before both.

    Raises:
        OSError: it can't be made.
    """
    told = str(root or environment.get(STATE_FOLDER_VARIABLE, "")).strip()
    folder = (Path(told).expanduser() if told else user_state_path("telnyx-trio")) / name
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # It may have been there, or the umask may have been unusual.
        folder.chmod(0o700)
    except OSError as error:
        text = f"{error.strerror}: {folder}; {STATE_FOLDER_VARIABLE} names another folder"
        raise OSError(error.errno, text) from error
    return folder
