"""Who imports whom: every import of the package is held to the table in docs/architecture.md."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = "telnyx_trio"
ARCHITECTURE = ROOT / "docs" / "architecture.md"

OPTIONAL = {"aiortc", "av", "dotenv", "getstream", "matplotlib", "rich"}
"""Libraries that extras bring, which may be imported where they are used."""

IMPURE = {
    "asyncio",
    "logging",
    "selectors",
    "signal",
    "socket",
    "ssl",
    "subprocess",
    "threading",
    "time",
}
"""What a room without Trio has no business with: tasks, logs, sockets, clocks."""

CLOCK_CALLS = {"now", "today", "utcnow"}


@dataclass(frozen=True)
class Row:
    """One row of the table."""

    rank: int
    layer: str
    rooms: tuple[str, ...]
    layers_below: frozenset[str]
    rooms_below: frozenset[str]
    public_names_only: bool
    libraries: frozenset[str]

    @property
    def is_pure(self) -> bool:
        return "trio" not in self.libraries


@dataclass(frozen=True)
class Import:
    """One import statement, or one name of it; ``target`` is a module of ours or a library's."""

    target: str
    line: int
    is_ours: bool
    is_absolute: bool
    private_name: str | None = None
    in_function: bool = False
    for_types_only: bool = False


@dataclass
class Tree:
    """The package as it is: the table and the modules."""

    rows: list[Row]
    sources: Mapping[str, str]
    packages: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        parents = {name.rpartition(".")[0] for name in self.sources}
        self.packages = frozenset({*parents, ""})

    def row_of(self, module: str) -> Row:
        """Return the row whose room is the longest beginning of the module's path."""
        fitting = [
            (len(room), row)
            for row in self.rows
            for room in row.rooms
            if module == room or (room and module.startswith(f"{room}."))
        ]
        assert fitting, f"{module} stands in no row of {ARCHITECTURE.name}"
        return max(fitting, key=lambda pair: pair[0])[1]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def read_table(text: str) -> list[Row]:
    """Read the one table that has the columns layer, room, may import, libraries."""
    lines = text.splitlines()
    wanted = ["layer", "room", "may import", "libraries"]
    head = next(n for n, line in enumerate(lines) if _cells(line) == wanted)
    rows: list[Row] = []
    for line in lines[head + 2 :]:
        if not line.startswith("|"):
            break
        layer, rooms, below, libraries = _cells(line)
        layers: set[str] = set()
        for first, last in re.findall(r"\b(\d)(?:\N{EN DASH}(\d))?", re.sub(r"`[^`]*`", "", below)):
            layers.update(map(str, range(int(first), int(last or first) + 1)))
        if re.search(r"\bT\b", below):
            layers.add("T")
        rows.append(
            Row(
                rank=len(rows),
                layer=layer,
                # The package itself is the room with the empty path.
                rooms=tuple("" if name == PACKAGE else name for name in _names(rooms)),
                layers_below=frozenset(layers),
                rooms_below=frozenset(_names(below)),
                public_names_only="public names" in below,
                libraries=frozenset(_names(libraries)),
            )
        )
    return rows


def read_tree() -> Tree:
    sources = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT / PACKAGE).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        sources[name] = path.read_text()
    return Tree(read_table(ARCHITECTURE.read_text()), sources)


class _Imports(ast.NodeVisitor):
    def __init__(self, module: str, tree: Tree) -> None:
        self._package = module if module in tree.packages else module.rpartition(".")[0]
        self._tree = tree
        self._functions = 0
        self._type_checking = 0
        self.found: list[Import] = []
        self.calls: list[tuple[str, int]] = []

    def _add(
        self, target: str, line: int, *, ours: bool, absolute: bool, name: str | None = None
    ) -> None:
        self.found.append(
            Import(
                target=target,
                line=line,
                is_ours=ours,
                is_absolute=absolute,
                private_name=name if name and re.match(r"_(?!_)", name) else None,
                in_function=self._functions > 0,
                for_types_only=self._type_checking > 0,
            )
        )

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            ours = alias.name.split(".")[0] == PACKAGE
            target = alias.name.partition(".")[2] if ours else alias.name
            self._add(target, node.lineno, ours=ours, absolute=True)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        absolute = node.level == 0
        base = node.module or ""
        ours = not absolute or base.split(".")[0] == PACKAGE
        if absolute and ours:
            base = base.partition(".")[2]
        elif not absolute:
            start = self._package.split(".") if self._package else []
            kept = start[: len(start) - (node.level - 1)]
            base = ".".join([*kept, *([base] if base else [])])
        for alias in node.names:
            inner = f"{base}.{alias.name}".lstrip(".")
            if ours and inner in self._tree.sources:
                self._add(inner, node.lineno, ours=True, absolute=absolute)
            else:
                self._add(base, node.lineno, ours=ours, absolute=absolute, name=alias.name)

    def visit_If(self, node: ast.If) -> None:
        is_type_checking = ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
        self._type_checking += is_type_checking
        for child in node.body:
            self.visit(child)
        self._type_checking -= is_type_checking
        for child in node.orelse:
            self.visit(child)

    def _visit_function(self, node: ast.AST) -> None:
        self._functions += 1
        self.generic_visit(node)
        self._functions -= 1

    visit_FunctionDef = _visit_function
    visit_AsyncFunctionDef = _visit_function
    visit_Lambda = _visit_function

    def visit_Call(self, node: ast.Call) -> None:
        self.calls.append((ast.unparse(node.func).rpartition(".")[2], node.lineno))
        self.generic_visit(node)


def problems_of(module: str, source: str, tree: Tree) -> list[str]:
    """Name every way in which one module breaks the rules of docs/architecture.md."""
    visitor = _Imports(module, tree)
    visitor.visit(ast.parse(source))
    row = tree.row_of(module)
    problems: list[str] = []
    for entry in visitor.found:
        for problem in (
            _placement_problem(entry, row),
            _own_problem(module, entry, row, tree)
            if entry.is_ours
            else _library_problem(entry, row),
        ):
            if problem is not None:
                problems.append(f"{module or PACKAGE}:{entry.line}: {problem}")
    for name, line in visitor.calls:
        if name in ("import_module", "__import__") and module != "_lazy":
            problems.append(f"{module}:{line}: imports by name, outside of _lazy")
        if name in CLOCK_CALLS and row.is_pure:
            problems.append(f"{module}:{line}: asks for the time, in a room without a clock")
    return list(dict.fromkeys(problems))


def _placement_problem(entry: Import, row: Row) -> str | None:
    if not entry.in_function or row.layer == "T+":
        return None
    if entry.target.split(".")[0] in OPTIONAL:
        return None
    return f"imports {entry.target} inside a function"


def _library_problem(entry: Import, row: Row) -> str | None:
    library = entry.target.split(".")[0]
    if any(re.match(r"_(?!_)", part) for part in entry.target.split(".")) or entry.private_name:
        return f"imports a private name of {library}" if library != "__future__" else None
    if library in row.libraries:
        return None
    if library not in sys.stdlib_module_names:
        return f"imports {library}, which is not in its row"
    if library == "audioop":
        return "imports audioop, which is not in its row"
    if row.is_pure and library in IMPURE:
        return f"imports {library}, in a pure room"
    return None


def _own_problem(module: str, entry: Import, row: Row, tree: Tree) -> str | None:
    target = entry.target
    shown = target or PACKAGE
    if entry.is_absolute:
        return f"imports {shown} by its absolute name"
    package = module.split(".")[0]
    if entry.private_name:
        return f"imports the private name {entry.private_name} of {shown}"
    if shown in row.rooms_below:
        return None
    if row.public_names_only and target.split(".")[0] != package:
        is_public = target in tree.packages and not re.search(r"(^|\.)_", target)
        return None if is_public else f"imports {shown}, which is not public"
    to_row = tree.row_of(target)
    if module in tree.packages and target.startswith(f"{module}."):
        return None  # a package names what its modules offer
    if target.split(".")[0] == package and target in tree.sources and target:
        return None if to_row.rank <= row.rank else f"imports {shown}, which stands above it"
    if "." in target and re.search(r"\._", target):
        return f"imports {shown} past its package's public names"
    is_below = to_row.layer in row.layers_below and to_row.rank < row.rank
    if is_below or target.split(".")[0] in row.rooms_below:
        return None
    return f"imports {shown} (layer {to_row.layer}), which its row does not allow"


TREE = read_tree()


@pytest.mark.parametrize("module", TREE.sources, ids=lambda name: name or PACKAGE)
def test_module_keeps_to_the_table(module: str) -> None:
    """A module imports what its row in docs/architecture.md allows, and nothing else."""
    assert problems_of(module, TREE.sources[module], TREE) == []


def test_every_room_in_the_table_exists() -> None:
    """The table names no room that is not there."""
    rooms = {room for row in TREE.rows for room in row.rooms}
    assert rooms - set(TREE.sources) == set()


def test_no_import_cycles() -> None:
    """No module needs itself to be imported, in whatever many steps."""
    graph = {module: sorted(_needed_at_run_time(module)) for module in TREE.sources if module}
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path, module))
        if module in done:
            return
        for target in graph.get(module, ()):
            visit(target, (*path, module))
        done.add(module)

    for module in graph:
        visit(module, ())


def _needed_at_run_time(module: str) -> Iterator[str]:
    visitor = _Imports(module, TREE)
    visitor.visit(ast.parse(TREE.sources[module]))
    for entry in visitor.found:
        if entry.is_ours and not entry.for_types_only and not entry.in_function:
            yield entry.target


def test_examples_use_public_names_only() -> None:
    """The examples import what any user may import."""
    problems: list[str] = []
    for path in sorted((ROOT / "examples").glob("*.py")):
        visitor = _Imports("examples", TREE)
        visitor.visit(ast.parse(path.read_text()))
        for entry in visitor.found:
            private = entry.private_name or re.search(r"(^|\.)_(?!_)", entry.target)
            if entry.is_ours and private:
                problems.append(f"{path.name}:{entry.line}: {entry.target} {entry.private_name}")
    assert problems == []


@pytest.mark.parametrize(
    ("module", "source", "problem"),
    [
        ("protocol._parse", "import trio", "not in its row"),
        ("protocol._parse", "import numpy.typing", "not in its row"),
        ("protocol._parse", "import logging", "pure room"),
        ("protocol._parse", "from .._media_stream import MediaStream", "does not allow"),
        ("protocol._parse", "from ..audio import PcmData", "does not allow"),
        ("protocol._parse", "from telnyx_trio._types import Track", "absolute"),
        ("webhooks._parse", "import datetime\ndatetime.datetime.now()", "asks for the time"),
        ("call_control._commands", "from ._client import open_client", "stands above"),
        ("_registry", "from ._call import Call", "does not allow"),
        ("_media_stream", "from .protocol._parse import parse_message", "past its package"),
        ("servers._server", "from .._call import _HANDING_OVER", "private name"),
        ("servers._server", "from httpx._client import BaseClient", "private name"),
        ("servers._server", "def f():\n    from .._call import Call", "inside a function"),
        ("servers._server", "import importlib\nimportlib.import_module('x')", "by name"),
        ("testing._carrier", "from ..protocol import parse_message", "does not allow"),
        ("testing._carrier", "from ..call_control import open_client", "does not allow"),
        (
            "_registry",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .servers import X",
            "does not allow",
        ),
    ],
)
def test_breaking_a_rule_is_seen(module: str, source: str, problem: str) -> None:
    """Each rule is there: a module that breaks it is named, with the rule."""
    assert [found for found in problems_of(module, source, TREE) if problem in found]
