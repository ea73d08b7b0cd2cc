"""An HTTP client that takes proxies and certificates from the environment, told if it can't."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from ._errors import ConfigurationError
from ._public_url import LOCAL_HOSTS

_PROXY: Final = "the proxy of HTTPS_PROXY, HTTP_PROXY or ALL_PROXY can't be used"

_CERTIFICATE_VARIABLES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""Of which httpx takes the first that is set."""


def make_http_client(url: str, **settings: Any) -> httpx.AsyncClient:
    """Make a client; it has to be entered or closed.

    ``HTTPS_PROXY`` and the like hold, but not for this machine.

    Args:
        url: whose host the client is for.
        **settings: of ``httpx.AsyncClient``.

    Raises:
        ConfigurationError: proxy or certificates of the environment can't be used.
    """
    try:
        if urlsplit(url).hostname in LOCAL_HOSTS:
            # httpx would look for proxies and certificates, or for neither.
            context = ssl.create_default_context()
            return httpx.AsyncClient(trust_env=False, verify=context, **settings)
        return httpx.AsyncClient(**settings)
    except OSError as error:
        told = [name for name in _CERTIFICATE_VARIABLES if os.environ.get(name)]
        where = f"of {told[0]}" if told else "of this machine"
        reason = error.strerror or type(error).__name__
        raise ConfigurationError([f"the certificates {where} can't be read: {reason}"]) from error
    except ImportError as error:
        raise ConfigurationError([f"{_PROXY}: {error}"]) from error  # names the package
    except (ValueError, httpx.InvalidURL) as error:
        raise ConfigurationError([f"{_PROXY}: it has to be like http://host:port"]) from error


def causes(error: BaseException) -> Iterator[BaseException]:
    """List an error and what led to it, members of groups included."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
