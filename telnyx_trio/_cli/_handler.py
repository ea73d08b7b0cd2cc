"""``MODULE:HANDLER``: the user's own handler, found and looked at before anything begins."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

from .. import Call, ConfigurationError

Handler: TypeAlias = Callable[[Call], Awaitable[Any]]

_EXAMPLE = "async def agent(call): ..."


def load_handler(name: str) -> Handler:
    """Import the handler that ``name`` names; modules of the working folder are found.

    Args:
        name: "module:function"; "folder.module:function" and "module.py:function" work too.

    Raises:
        ConfigurationError: there is none, or it is no async function of one argument. An error in
            the module itself is printed with its traceback first.
    """
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise ConfigurationError(
            [f"{name!r} is no MODULE:HANDLER; for {_EXAMPLE} in agent.py it is agent:agent"]
        )
    module_name = module_name.removesuffix(".py").replace("/", ".").strip(".")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    found: Any = _import(module_name)
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise ConfigurationError([_no_attribute(found, module_name, attribute)])
        found = getattr(found, part)
    problem = _problem_of(found)
    if problem:
        raise ConfigurationError([f"{name} {problem}; it should be: {_EXAMPLE}"])
    handler: Handler = found
    return handler


def _import(module_name: str) -> Any:
    try:
        return pkgutil.resolve_name(f"{module_name}:")
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name + ".").startswith(error.name + "."):
            raise ConfigurationError(
                [f"there is no module {module_name!r} in {Path.cwd()} nor installed"]
            ) from None
        _print_error(error)
        raise ConfigurationError(
            [f"{module_name} can't be imported: it needs {error.name!r}, which is not installed"]
        ) from None
    except Exception as error:
        _print_error(error)
        raise ConfigurationError(
            [f"{module_name} can't be imported: {type(error).__name__}, see above"]
        ) from None


def _print_error(error: Exception) -> None:
    """Print an error of the module's with its traceback, without the frames that imported it."""
    frames = error.__traceback__
    while frames is not None and _is_import(frames.tb_frame.f_code.co_filename):
        frames = frames.tb_next
    traceback.print_exception(type(error), error, frames)


def _is_import(file: str) -> bool:
    return file in (__file__, pkgutil.__file__, importlib.__file__) or file.startswith("<frozen")


def _no_attribute(module: Any, module_name: str, attribute: str) -> str:
    functions = [
        name
        for name, value in vars(module).items()
        if inspect.iscoroutinefunction(value) and not name.startswith("_")
    ]
    has = f"; it has {', '.join(functions)}" if functions else ""
    return f"{module_name} has no {attribute!r}{has}"


def _problem_of(handler: Any) -> str:
    """Say what keeps this from being a handler; empty if nothing does."""
    if not callable(handler):
        return "is no function"
    call = handler.__call__
    if not inspect.iscoroutinefunction(handler) and not inspect.iscoroutinefunction(call):
        return "is not async"
    try:
        inspect.signature(handler).bind(None)
    except TypeError as error:
        return f"does not take one argument, the call ({error})"
    return ""
