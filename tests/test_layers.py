"""The picture of layers in docs/architecture.md is what the imports say: those of functions and of types too."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

import rerankit

ROOT = Path(rerankit.__file__).parent
PICTURE = Path(__file__).parents[1] / "docs" / "architecture.md"


@cache
def modules() -> dict[str, ast.Module]:
    """Every module by its dotted name below the package ("" is the package itself)."""
    found = {}
    for file in sorted(ROOT.rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(file.read_text(encoding="utf-8"))
    return found


def imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """What a module imports of the package, wherever it does: the module and the name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((_known(alias.name), "") for alias in node.names if alias.name.partition(".")[0] == "rerankit")
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            named = node.args[0].value if isinstance(node.args[0], ast.Constant) else ""
            yield from ((_known(name), "") for name in [str(named)] if name.partition(".")[0] == "rerankit")
        elif isinstance(node, ast.ImportFrom) and node.level:
            raise AssertionError(f"import by the whole name, not '{ast.unparse(node)}'")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "rerankit":
            for alias in node.names:
                whole = f"{node.module}.{alias.name}".removeprefix("rerankit.")
                yield (whole, "") if whole in modules() else (_known(node.module or ""), alias.name)


def _known(name: str) -> str:
    below = name.removeprefix("rerankit").removeprefix(".")
    while below not in modules():
        below = below.rpartition(".")[0]
    return below


@cache
def layers() -> dict[str, int]:
    """Rooms and files of the picture, as dotted names, with how high they stand."""
    block = re.search(r"## Layers\n\n```text\n(.*?)```", PICTURE.read_text(encoding="utf-8"), re.S)
    assert block is not None
    lines = [re.split(r"\s{3,}", line)[0].split() for line in block[1].splitlines()]
    names = {name.replace("/", "."): -at for at, line in enumerate(lines) for name in line}
    assert len(names) == sum(map(len, lines)), "a name stands twice in the picture"
    return {"" if name == "rerankit" else name: height for name, height in names.items()}


def place(module: str) -> str:
    """The room or file of the picture that a module belongs to."""
    while module not in layers():
        assert "." in module, f"'{module}' has no place in the picture of docs/architecture.md"
        module = module.rpartition(".")[0]
    return module


def rows(head: str) -> list[list[str]]:
    """The rows of the table under a head."""
    text = PICTURE.read_text(encoding="utf-8").partition(f"| {head} | why |\n| --- | --- |\n")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]


def test_no_import_points_up() -> None:
    """Imports go down, but for those that the page names with a reason; a name that is no longer needed fails, too."""
    named = {tuple(re.findall(r"`([\w/]+)`", cells[0])) for cells in rows("import")}
    found = defaultdict(list)
    for module, tree in modules().items():
        for target, _ in imports(tree):
            here, there = place(module), place(target)
            if here != there and layers()[there] >= layers()[here]:
                found[here, there].append(f"{module} imports {target}")
    assert {pair: seen for pair, seen in found.items() if pair not in named} == {}
    assert named - set(found) == set(), "these imports are gone: take them off the page"


def test_imports_of_every_form_are_seen() -> None:
    forms = (
        "from rerankit.bench import run",
        "import rerankit.bench.run as run",
        "def f():\n    from rerankit.bench import run",
        "if TYPE_CHECKING:\n    from rerankit.bench.run import bench",
        "run = importlib.import_module('rerankit.bench.run')",
    )
    assert [[target for target, _ in imports(ast.parse(form))] for form in forms] == [["bench.run"]] * len(forms)
    assert list(imports(ast.parse("import numpy.bench\nimport_module(name)\nfrom re import sub"))) == []
    for form in ("from . import bench", "from ..bench import run"):
        with pytest.raises(AssertionError, match="import by the whole name, not"):
            list(imports(ast.parse(form)))


def test_every_place_of_the_picture_is_there() -> None:
    known = set(modules())
    assert [name for name in layers() if name not in known] == []


def test_circles_inside_rooms_are_named() -> None:
    named = set()
    for cells in rows("circle"):
        room, *files = re.findall(r"`([\w/]+)`", cells[0])
        named.add(frozenset(f"{room.strip('/').replace('/', '.')}.{file}" for file in files))
    graph = {module: {target for target, _ in imports(tree) if target != module} for module, tree in modules().items()}
    inside = {module: {t for t in targets if place(t) == place(module)} for module, targets in graph.items()}
    assert {frozenset(circle) for circle in circles(inside)} == named


def circles(graph: Mapping[str, set[str]]) -> list[set[str]]:
    """Groups of nodes that all lead to each other."""

    def reached(start: str) -> set[str]:
        seen, todo = set(), [start]
        while todo:
            for after in graph[todo.pop()] - seen:
                seen.add(after)
                todo.append(after)
        return seen

    reach = {node: reached(node) for node in graph}
    groups: list[set[str]] = []
    for node in graph:
        together = {other for other in reach[node] if node in reach[other]}
        if len(together) > 1 and together not in groups:
            groups.append(together)
    return groups


def test_circles_are_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set()}) == [{"a", "b", "c"}]


def test_names_with_an_underscore_stay_in_their_room() -> None:
    """Neither imported from another room, nor read off a thing that another room's code defines."""
    taken = []
    own: dict[str, set[str]] = defaultdict(set)
    for module, tree in modules().items():
        own[_room(module)] |= set(_defined(tree))
    for module, tree in modules().items():
        for target, name in imports(tree):
            private = [part for part in (*target.split("."), name) if part.startswith("_") and part != "__version__"]
            if private and _room(target) != _room(module):
                taken.append(f"{module} takes {target}.{name}")
        for node in ast.walk(tree):
            if not isinstance(node, ast.Attribute) or not re.match(r"_[a-z]", node.attr):
                continue
            if any(node.attr in names for names in own.values()) and node.attr not in own[_room(module)]:
                taken.append(f"{module}:{node.lineno} reads {ast.unparse(node)}")
    assert taken == []


def _room(module: str) -> str:
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "stages" and len(parts) > 2 else parts[0]


def _defined(tree: ast.Module) -> Iterator[str]:
    """Names that a module defines: functions, classes, variables, attributes of its own objects."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
            yield node.attr


def test_functions_are_short() -> None:
    """No function is longer than sixty lines, its docstring included."""
    long = [
        f"{module}.{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for module, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.end_lineno is not None and node.end_lineno - node.lineno >= 60
    ]
    assert long == []


def test_files_are_short() -> None:
    """No file is longer than three hundred lines, as CONTRIBUTING.md says."""
    found = {path.relative_to(ROOT): len(path.read_text().splitlines()) for path in sorted(ROOT.rglob("*.py"))}
    assert {str(path): lines for path, lines in found.items() if lines > 300} == {}


def test_the_name_of_a_class_means_one_thing() -> None:
    places = defaultdict(list)
    for module, tree in modules().items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(module)
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
