"""The public names: they are there, documented, the same for people and type checkers, and lazy."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import telnyx_trio
import telnyx_trio.testing

PACKAGES = (
    "telnyx_trio.audio",
    "telnyx_trio.call_control",
    "telnyx_trio.protocol",
    "telnyx_trio.servers",
    "telnyx_trio.testing",
    "telnyx_trio.webhooks",
)

PLUGIN_NAMES = {
    "CallRegistry",
    "MediaStream",
    "PcmData",
    "TELNYX_DEFAULT_SAMPLE_RATE",
    "TELNYX_L16_SAMPLE_RATE",
    "TelnyxCall",
    "TelnyxCallRegistry",
    "TelnyxMediaFormat",
    "TelnyxMediaStream",
    "l16_to_pcm",
    "pcm_to_l16",
    "pcm_to_pcma",
    "pcm_to_pcmu",
    "pcm_to_telnyx_payload",
    "pcma_to_pcm",
    "pcmu_to_pcm",
    "telnyx_payload_to_pcm",
}
"""What the Vision Agents plugin exports, less ``attach_phone_to_call``: there is no bridge yet."""


def _re_exports(source: str) -> Iterator[tuple[str, str]]:
    """Yield the room and the name of each ``from .room import X as X``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level:
            for alias in node.names:
                if alias.name == "lazy_names":
                    continue
                assert alias.asname == alias.name, f"{alias.name} is not re-exported by its name"
                yield f"{'.' * node.level}{node.module}", alias.name


def _public_names(package: str) -> dict[str, object]:
    module = importlib.import_module(package)
    names = getattr(module, "__all__", None)
    if names is None:
        assert module.__file__ is not None
        names = [name for _, name in _re_exports(Path(module.__file__).read_text())]
    return {name: getattr(module, name) for name in names}


def _is_documented(value: object) -> bool:
    # What a class inherits does not count: dataclasses and exceptions always have some docstring.
    return bool(vars(value).get("__doc__")) if inspect.isclass(value) else bool(value.__doc__)


def _undocumented(package: str) -> Iterator[str]:
    for name, value in _public_names(package).items():
        if not (inspect.isclass(value) or inspect.isfunction(value)):
            continue
        if not _is_documented(value):
            yield name
        if inspect.isclass(value):
            for attribute, member in vars(value).items():
                function = member.fget if isinstance(member, property) else member
                function = getattr(function, "__func__", function)
                if attribute.startswith("_") or not inspect.isfunction(function):
                    continue
                ours = function.__module__.startswith("telnyx_trio")
                # The attributes of a protocol are explained in the docstring of its class.
                told = function.__doc__ or f" {attribute}:" in (value.__doc__ or "")
                if ours and not told:
                    yield f"{name}.{attribute}"


@pytest.mark.parametrize("name", telnyx_trio.__all__)
def test_name_resolves(name: str) -> None:
    """Every name in ``__all__`` can be had."""
    assert getattr(telnyx_trio, name) is not None


@pytest.mark.parametrize("package", [telnyx_trio, telnyx_trio.testing])
def test_type_checkers_see_the_same_names(package: ModuleType) -> None:
    """The imports under TYPE_CHECKING and the table of lazy names are one list."""
    assert package.__file__ is not None
    shown = set(_re_exports(Path(package.__file__).read_text()))
    lazy = {(room, name) for room, names in package._ROOMS.items() for name in names}
    assert shown - {("._version", "__version__")} == lazy
    assert set(package.__all__) - {"__version__"} == {name for _, name in lazy}


def test_no_name_twice() -> None:
    """No name stands in two rooms of the table of lazy names."""
    names = [name for names in telnyx_trio._ROOMS.values() for name in names]
    assert len(names) == len(set(names))


def test_dir_lists_the_public_names() -> None:
    """Completion in an interpreter offers the public names before their first use."""
    assert set(telnyx_trio.__all__) <= set(dir(telnyx_trio))


def test_unknown_name() -> None:
    """A name that is not there is an AttributeError that says which."""
    with pytest.raises(AttributeError, match="no attribute 'open_phone'"):
        telnyx_trio.open_phone  # noqa: B018 - the access is the test


@pytest.mark.parametrize("package", ["telnyx_trio", *PACKAGES])
def test_public_names_are_documented(package: str) -> None:
    """Every public class and function, and every public method of ours, has a docstring."""
    assert list(_undocumented(package)) == []


def test_plugin_names_are_kept() -> None:
    """Who knows the Vision Agents plugin finds its names here."""
    assert set(telnyx_trio.__all__) >= PLUGIN_NAMES


def test_plugin_names_mean_the_same() -> None:
    """The plugin's long and short names are one class each."""
    assert telnyx_trio.TelnyxCallRegistry is telnyx_trio.CallRegistry
    assert telnyx_trio.TelnyxMediaStream is telnyx_trio.MediaStream


def _loaded_after(statement: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has after a statement."""
    program = f"import json, sys\n{statement}\nprint(json.dumps(list(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30
    )
    return {name.partition(".")[0] for name in json.loads(run.stdout)}


def test_import_costs_nothing() -> None:
    """``import telnyx_trio`` alone loads no third-party library."""
    heavy = {"cryptography", "httpx", "hypercorn", "msgspec", "numpy", "trio", "trio_websocket"}
    assert _loaded_after("import telnyx_trio") & heavy == set()


def test_audio_needs_no_network_library() -> None:
    """A program that only converts audio loads numpy and nothing that talks to a network."""
    loaded = _loaded_after("from telnyx_trio import pcmu_to_pcm")
    assert "numpy" in loaded
    assert loaded & {"cryptography", "httpx", "hypercorn", "trio", "trio_websocket"} == set()


def test_pytest_start_costs_nothing() -> None:
    """The pytest plugin, which every pytest run of an environment imports, loads no library but
    pytest's own, pytest-trio and what that needs.
    """
    loaded = _loaded_after("import telnyx_trio.testing._pytest_plugin")
    assert loaded & {"cryptography", "httpx", "hypercorn", "numpy", "trio_websocket"} == set()
