"""``python -m telnyx_trio``: the same as the command ``telnyx-trio``."""

from ._cli import main

if __name__ == "__main__":
    main()
