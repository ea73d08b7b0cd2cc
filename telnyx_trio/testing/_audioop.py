"""The one place where audioop comes in.

CPython's own module until 3.12 (which warns that it will go), the audioop-lts distribution from
3.13 on. The simulator codes G.711 with it because the library does that with tables of its own:
two implementations that share nothing cannot share a mistake.
"""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop as audioop
