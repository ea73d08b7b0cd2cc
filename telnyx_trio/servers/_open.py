"""Opening a call server: with a listener of its own, inside another server, or without sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import trio

from .._errors import ConfigurationError
from .._lone_error import unwrap_lone_error
from .._registry import TelnyxCallRegistry
from ..call_control import open_client
from ._asgi import AsgiApplication
from ._collector import collecting_less_often
from ._config import ServerConfig
from ._listener import open_listeners, serve_listeners
from ._server import CallServer
from ._values import Handler, Prepare, Screen


@asynccontextmanager
async def open_server(
    config: ServerConfig,
    handler: Handler | None = None,
    *,
    screen: Screen | None = None,
    prepare: Prepare | None = None,
    listen: bool = True,
    transport: httpx.AsyncBaseTransport | None = None,
) -> AsyncIterator[CallServer]:
    """Run a call server for as long as the body of ``async with`` runs.

    It owns the listener, the call registry, the REST client and the inbox of webhooks. Leaving
    hangs up all calls and closes everything; ``CallServer.stop`` beforehand lets them finish.

    Args:
        config: settings.
        handler: called with each inbound call; None leaves inbound calls to others.
        screen: asked about each caller while it rings: None answers, a cause of Telnyx's reject
            command ("CALL_REJECTED", "USER_BUSY", ...) turns away.
        prepare: run while it rings; the call is answered when it is done, and its result is that of
            ``await call.info.await_prepare()``.
        listen: False opens no port: you hand webhooks to ``handle_webhook`` and media sockets to
            ``handle_media``.
        transport: for httpx, where the REST API is not reached over the network.

    Raises:
        ConfigurationError: a setting is wrong.
        OSError: the port can't be listened at.
        Exception: what the body raised, as itself.
    Cancelled: running calls are cancelled and hung up; then the listener closes.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(unwrap_lone_error())
        stack.enter_context(collecting_less_often(config.gc_threshold))
        client = await stack.enter_async_context(
            open_client(config.api_key, base_url=config.base_url, transport=transport)
        )
        registry = await stack.enter_async_context(TelnyxCallRegistry())
        listeners: list[trio.SocketListener] = []
        url = None
        if listen:
            listeners, url = await open_listeners(config.host, config.port)
            for listener in listeners:
                stack.push_async_callback(listener.aclose)
        shutdown = trio.Event()
        async with trio.open_nursery() as port_nursery:
            try:
                async with trio.open_nursery() as call_nursery:
                    server = CallServer(
                        config if url is None else config.at(url),
                        client,
                        registry,
                        call_nursery,
                        handler=handler,
                        screen=screen,
                        prepare=prepare,
                        url=url,
                    )
                    if listeners:
                        serving = trio.CancelScope()
                        await port_nursery.start(_serve, server, listeners, shutdown, serving)
                        # From here on webhooks and media sockets must live until the calls are
                        # over, whatever was cancelled. Not before: a cancelled `start` waits for
                        # its task, which would wait for `shutdown`.
                        serving.shield = True
                    try:
                        yield server
                    finally:
                        server.close()
                        call_nursery.cancel_scope.cancel()
            finally:
                shutdown.set()


async def _serve(
    server: CallServer,
    listeners: list[trio.SocketListener],
    shutdown: trio.Event,
    scope: trio.CancelScope,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    with scope:
        await serve_listeners(server, listeners, shutdown, task_status=task_status)


async def serve_calls(
    handler: Handler,
    config: ServerConfig,
    *,
    screen: Screen | None = None,
    prepare: Prepare | None = None,
    shutdown_trigger: Callable[[], Awaitable[object]] | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
    task_status: trio.TaskStatus[CallServer] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer calls until cancelled: ``await nursery.start(serve_calls, handler, config)``.

    Args:
        handler: ``async def handler(call)``; one task a call. An error of it ends its own call and
            is logged; leaving it hangs up.
        config: settings.
        screen: see ``open_server``.
        prepare: see ``open_server``.
        transport: see ``open_server``.
        shutdown_trigger: when it returns, the server stops gracefully and this function returns.
        task_status: reports the server, whose ``url`` is the real address, once it takes calls.

    Raises:
        ConfigurationError: a setting is wrong.
        OSError: the port can't be listened at.
    Cancelled: running calls are cancelled and hung up.
    """
    async with open_server(
        config, handler, screen=screen, prepare=prepare, transport=transport
    ) as server:
        task_status.started(server)
        if shutdown_trigger is None:
            await trio.sleep_forever()
        else:
            await shutdown_trigger()
            await server.stop()


@asynccontextmanager
async def open_app(
    handler: Handler | None,
    config: ServerConfig,
    *,
    screen: Screen | None = None,
    prepare: Prepare | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> AsyncIterator[AsgiApplication]:
    """Make the call server an ASGI application, to mount in Quart-Trio, Starlette or hypercorn.

    Serve it in the Trio run that entered this. ``application.server`` is the ``CallServer``.

    Its media sockets pass through the server that serves the application, with that server's
    limits: hypercorn 0.18 can't be cancelled while a media peer does not read. Where calls must end
    whatever a peer does, use ``open_server``, which keeps media away from hypercorn.

    Args:
        handler: see ``open_server``.
        config: settings; ``public_url`` must be given.
        screen: see ``open_server``.
        prepare: see ``open_server``.
        transport: see ``open_server``.

    Raises:
        ConfigurationError: a setting is wrong.
    Cancelled: running calls are cancelled and hung up.
    """
    if config.public_url is None:
        raise ConfigurationError(["public_url is needed: Telnyx sends media to it"])
    async with open_server(
        config, handler, screen=screen, prepare=prepare, listen=False, transport=transport
    ) as server:
        yield AsgiApplication(server)
