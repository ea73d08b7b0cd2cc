"""What is shipped, what it depends on, and the commands that the README promises."""

from __future__ import annotations

import re
import tomllib
import wave
from importlib import import_module, resources
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import telnyx_trio

ROOT = Path(__file__).parent.parent

PUBLIC_HOSTS = {"files.pythonhosted.org", "pypi.org"}


def _read_toml(name: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / name).read_text())


PROJECT = _read_toml("pyproject.toml")["project"]


def _command(purpose: str) -> str:
    """Return the README's command for a purpose."""
    pattern = rf"^<!-- command: {purpose} -->\n```sh\n(.*?)\n```$"
    [command] = re.findall(pattern, (ROOT / "README.md").read_text(), re.M | re.S)
    return str(command)


def _name_of(requirement: str) -> str:
    match = re.match(r"[\w-]+", requirement)
    assert match is not None
    return match[0]


def _bounds_of(requirement: str) -> str:
    without_extras = re.sub(r"\[[\w,-]+\]", "", requirement)
    return without_extras[len(_name_of(requirement)) :].partition(";")[0]


def test_core_dependencies() -> None:
    """The core needs twelve libraries, and audioop-lts only where CPython has no audioop."""
    assert {_name_of(requirement) for requirement in PROJECT["dependencies"]} == {
        "audioop-lts",
        "cryptography",
        "h11",
        "httpx",
        "hypercorn",
        "msgspec",
        "numpy",
        "outcome",
        "platformdirs",
        "trio",
        "trio-websocket",
        "websockets",
    }
    assert 'audioop-lts>=0.2; python_version >= "3.13"' in [
        requirement.replace("'", '"') for requirement in PROJECT["dependencies"]
    ]


def test_every_dependency_has_a_lower_bound() -> None:
    """A requirement says from which version on it was tried."""
    extras = PROJECT["optional-dependencies"]
    requirements = [*PROJECT["dependencies"], *(r for extra in extras.values() for r in extra)]
    assert [r for r in requirements if ">=" not in r and not r.startswith("telnyx-trio[")] == []


def test_plots_and_tables_are_an_extra() -> None:
    """Rich output, pictures and .env files come with the extra [cli] only."""
    names = {_name_of(requirement) for requirement in PROJECT["optional-dependencies"]["cli"]}
    assert names == {"matplotlib", "python-dotenv", "rich"}


@pytest.mark.parametrize(
    ("group", "name"), [("scripts", "telnyx-trio"), ("entry-points", "telnyx_trio")]
)
def test_entry_point_is_there(group: str, name: str) -> None:
    """The command and the pytest plugin lead to something."""
    points = PROJECT[group] if group == "scripts" else PROJECT[group]["pytest11"]
    module, _, attribute = points[name].partition(":")
    found = import_module(module)
    assert not attribute or callable(getattr(found, attribute))


def test_typed() -> None:
    """The marker for type checkers lies inside of the package."""
    assert resources.files("telnyx_trio").joinpath("py.typed").is_file()


def test_version_is_one() -> None:
    """The changelog begins with the version that the package has."""
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert newest is not None
    assert newest[1] == telnyx_trio.__version__


@pytest.mark.parametrize(("name", "at_least"), [("caller.wav", 3.0), ("greeting.wav", 1.0)])
def test_speech_is_shipped(name: str, at_least: float) -> None:
    """The recorded sentences are files of the package: 16 kHz, mono, 16 bit, not silent."""
    speech = resources.files("telnyx_trio.testing") / "speech" / name
    with speech.open("rb") as file, wave.open(file) as reader:
        assert (reader.getframerate(), reader.getnchannels(), reader.getsampwidth()) == (
            16000,
            1,
            2,
        )
        assert reader.getnframes() / 16000 >= at_least
        assert len(set(reader.readframes(reader.getnframes()))) > 100


@pytest.mark.parametrize(
    ("purpose", "end"), [("demo", "telnyx-trio demo"), ("tests", "python -m pytest -n 2")]
)
def test_readme_command(purpose: str, end: str) -> None:
    """A README command is one line, needs only venv and pip, and ends in its purpose."""
    command = _command(purpose)
    assert "\n" not in command
    assert command.startswith("python3 -m venv .venv && .venv/bin/pip install ")
    assert command.endswith(f".venv/bin/{end}")


def test_ci_runs_the_readme_command() -> None:
    """The test command stands in the README alone; .ci/run reads it there."""
    script = (ROOT / ".ci" / "run").read_text()
    assert "<!-- command: tests -->" in script
    assert "README.md" in script
    assert "pytest" not in script


def test_ci_can_be_executed() -> None:
    """.ci/run is an executable file."""
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


def test_readme_lists_the_settings() -> None:
    """Each environment variable that the server reads is explained in the README."""
    source = (ROOT / "telnyx_trio" / "servers" / "_config.py").read_text()
    variables = set(re.findall(r'"((?:TELNYX|NGROK)_\w+)"', source))
    readme = (ROOT / "README.md").read_text()
    assert variables
    assert {name for name in variables if f"| `{name}` |" not in readme} == set()


def test_lock_names_public_hosts_only() -> None:
    """The lock file leads to the public package index, not to a machine of somebody's."""
    text = (ROOT / "uv.lock").read_text()
    urls = re.findall(r'"(\w+://[^"]+)"', text)
    assert {urlsplit(url).hostname for url in urls} == PUBLIC_HOSTS
    sources = re.findall(r"^source = \{ (\w+) = \"([^\"]*)\"", text, re.M)
    assert {source for source in sources if source[0] != "registry"} == {("editable", ".")}


def test_lock_fits_the_project() -> None:
    """The lock file was made from the requirements that the project has now."""
    [locked] = [p for p in _read_toml("uv.lock")["package"] if p["name"] == "telnyx-trio"]
    declared = [*PROJECT["dependencies"]]
    for requirements in PROJECT["optional-dependencies"].values():
        declared += [r for r in requirements if not r.startswith("telnyx-trio[")]
    noted = {
        (entry["name"], entry.get("specifier"))
        for entry in locked["metadata"]["requires-dist"]
        if entry["name"] != "telnyx-trio"
    }
    assert noted == {(_name_of(requirement), _bounds_of(requirement)) for requirement in declared}
