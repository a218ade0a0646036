"""The documentation is true: its code runs, its commands work, its menu is whole, and so are the docstrings.

The python blocks of a page run one after the other in one empty folder; those with `>>>` are compared with
the output they show. Lines `$ rerankit …` of console blocks run too and must succeed; `docs_files` makes the files that
they name and readers bring, and lists the few commands that do not run, with their reasons. A page can say
`<!-- test: slow -->`, `<!-- test: libraries warn -->` where other packages warn of their own code, or
`<!-- test: needs torch -->` for packages without which it is skipped; a line
`<!-- needs polars -->` above a block says it of that block alone.
"""

from __future__ import annotations

import doctest
import importlib
import inspect
import re
import shlex
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

import rerankit
from docs_files import NOT_RUN, ready
from rerankit import Pipeline, plugins
from rerankit.builtins import TASKS
from rerankit.cli import build
from rerankit.errors import MissingExtraError
from rerankit.extras import EXTRAS
from rerankit.formats.registry import formats
from rerankit.plugins import spec

REPOSITORY = Path(__file__).parents[1]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
MODULES = sorted(
    ".".join(path.relative_to(REPOSITORY / "src").with_suffix("").parts).removesuffix(".__init__")
    for path in (REPOSITORY / "src" / "rerankit").rglob("*.py")
    if path.name != "__main__.py"
)
_BLOCK = re.compile(r"^(?:<!-- needs ([\w ]+) -->\n)?```(\w+)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def _marks(page: Path) -> list[pytest.MarkDecorator]:
    said = re.findall(r"<!-- test: (.*?) -->", page.read_text(encoding="utf-8"))
    absent = [name for text in said if text.startswith("needs ") for name in text.split()[1:] if not find_spec(name)]
    marks = [pytest.mark.skipif(bool(absent), reason=f"not installed: {', '.join(absent)}")] if absent else []
    if "libraries warn" in said:
        filters = ("default", "error::rerankit.errors.RerankitWarning")
        marks += [pytest.mark.filterwarnings(text) for text in filters]
    return [*marks, pytest.mark.slow] if "slow" in said else marks


def _params() -> list[Any]:
    return [pytest.param(page, marks=_marks(page), id=str(page.relative_to(REPOSITORY))) for page in PAGES]


def _run_python(page: Path, code: str, line: int, names: dict[str, Any]) -> None:
    if ">>>" not in code:
        # Padding keeps the page's own line numbers in a traceback.
        exec(compile("\n" * line + code, str(page), "exec"), names)
        return
    test = doctest.DocTestParser().get_doctest(code, names, page.name, str(page), line)
    runner = doctest.DocTestRunner(optionflags=_FLAGS)
    told: list[str] = []
    runner.run(test, out=told.append, clear_globs=False)
    names.update(test.globs)
    assert runner.summarize(verbose=False).failed == 0, "".join(told)


def commands(text: str) -> list[str]:
    """The commands of a console block that are rerankit's, each on one line and without its comment."""
    lines = re.findall(r"^\$ ((?:\w+=\S+ )?rerankit\b.*)$", text.replace("\\\n", " "), re.MULTILINE)
    return [" ".join(re.sub(r"\s#\s.*$", "", line).split()) for line in lines]


def _run_commands(page: Path, text: str, line: int) -> None:
    for command in commands(text):
        if command in NOT_RUN:
            continue
        _, *arguments = shlex.split(command)
        result = CliRunner().invoke(build(), ready(arguments))
        assert result.exit_code == 0, f"{page.name}, block at line {line}: {command}\n{result.output}"


@pytest.mark.parametrize("page", _params())
def test_page(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__docs__"}
    text = page.read_text(encoding="utf-8")
    for block in _BLOCK.finditer(text):
        needed, language, code = block.groups()
        if not all(map(find_spec, (needed or "").split())):
            continue
        line = text[: block.start(2)].count("\n") + 1
        if language == "python":
            _run_python(page, code, line, names)
        elif language == "console":
            _run_commands(page, code, line)
        elif language == "yaml" and code.startswith("stages:"):
            Pipeline.from_yaml(code)
    plugins.reset()


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        module = importlib.import_module(name)
    except MissingExtraError as missing:
        pytest.skip(str(missing))
    found = doctest.testmod(module, optionflags=_FLAGS)
    if found.failed and (missing := _missing(module)):
        pytest.skip(missing)
    assert found.failed == 0


def _missing(module: ModuleType) -> str | None:
    """The package that a module's examples are the first to lack, where that is why they fail."""
    try:
        doctest.testmod(module, optionflags=_FLAGS, raise_on_error=True)
    except doctest.UnexpectedException as failed:
        return str(failed.exc_info[1]) if isinstance(failed.exc_info[1], MissingExtraError) else None
    except doctest.DocTestFailure:
        return None
    return None


def test_every_command_of_a_page_runs_or_has_its_reason() -> None:
    found = []
    for page in PAGES:
        for _, language, code in _BLOCK.findall(page.read_text(encoding="utf-8")):
            if language == "console":
                found += commands(code)
            else:
                stands = re.findall(r"^(?:\$ )?rerankit [a-z].*$", code, re.M)
                assert not stands or page.name == "architecture.md", f"{page.name}: not a console block: {stands}"
    assert set(NOT_RUN) <= set(found), f"on no page: {set(NOT_RUN) - set(found)}"
    assert len(found) > 100


def test_every_page_is_in_the_menu() -> None:
    class Loader(yaml.SafeLoader):
        """One that does not mind the tags of mkdocs extensions."""

    Loader.add_multi_constructor("tag:yaml.org,2002:python/name:", lambda *_: None)
    Loader.add_constructor("!ENV", lambda *_: None)
    menu = str(yaml.load((REPOSITORY / "mkdocs.yml").read_text(), Loader)["nav"])
    missing = [page.name for page in PAGES[1:] if f"'{page.relative_to(REPOSITORY / 'docs').as_posix()}'" not in menu]
    assert not missing, f"pages that mkdocs.yml does not list: {missing}"


@pytest.mark.parametrize(
    ("word", "page"),
    [("production", "production"), ("latency", "production"), ("FAISS", "inputs"), ("pandas", "inputs")],
)
def test_the_search_of_the_site_finds_a_word_in_a_heading(word: str, page: str) -> None:
    found = [
        path.stem
        for path in PAGES[1:]
        for heading in re.findall(
            r"^#+ (.*)$", re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.S), re.M
        )
        if word.lower() in heading.lower()
    ]
    assert page in found, f"words in headings weigh most; '{word}' is in those of {found}"


def test_every_hook_has_a_heading_with_its_arguments() -> None:
    text = (REPOSITORY / "docs" / "plugins.md").read_text(encoding="utf-8")
    for name, hook in vars(spec).items():
        if name.startswith("rerankit_"):
            arguments = ", ".join(inspect.signature(hook).parameters)
            assert f"### `{name}({arguments})`" in text, name


def test_every_hook_has_an_example_that_runs() -> None:
    text = (REPOSITORY / "docs" / "plugins.md").read_text(encoding="utf-8")
    code = "".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    last = text.rpartition("All of them at once")[2]
    for name in (name for name in vars(spec) if name.startswith("rerankit_")):
        kind = name.removeprefix("rerankit_")
        assert f"def {name}(" in code or f'"{kind}"' in last, name


def test_the_readme_names_every_stage() -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    ours = [name for name in rerankit.stages_available() if plugins.manager().stages.entry(name).owner == "rerankit"]
    assert [name for name in ours if f"`{name}`" not in text] == []


def test_the_pages_of_tasks_and_formats_name_them_all() -> None:
    pages = {name: (REPOSITORY / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in ("tasks", "formats")}
    assert [name for name in TASKS if f"`{name}`" not in pages["tasks"]] == []
    endings = [ending.removesuffix(".gz") for form in formats().values() for ending in form.suffixes if ending]
    assert [ending for ending in endings if f"`{ending}`" not in pages["formats"]] == []


def test_getting_started_names_every_extra() -> None:
    text = (REPOSITORY / "docs" / "getting-started.md").read_text(encoding="utf-8")
    assert [extra for extra in EXTRAS if f"`{extra}`" not in text] == []


def test_every_command_is_on_the_page_of_commands() -> None:
    text = (REPOSITORY / "docs" / "cli.md").read_text(encoding="utf-8")
    app = build()
    names = [str(found.name) for found in app.registered_commands]
    names += [
        f"{group.name} {found.name or found.callback.__name__}"
        for group in app.registered_groups
        for found in group.typer_instance.registered_commands
    ]
    headings = {line.split("`")[1] for line in text.splitlines() if line.startswith("## `rerankit ")}
    missing = [name for name in names if not {f"rerankit {name}", f"rerankit {name.split()[0]}"} & headings]
    assert not missing


def test_examples_of_docstrings_are_fenced_for_the_site() -> None:
    pytest.importorskip("griffe", reason="the extra docs is not installed")
    place = spec_from_file_location("examples", REPOSITORY / "docs" / "extra" / "examples.py")
    module = module_from_spec(place)
    place.loader.exec_module(module)
    text = "A word.\n\n>>> 1 + 1\n2\n>>> 2\n2\n\nMore."
    assert module.fenced(text) == "A word.\n\n```pycon\n>>> 1 + 1\n2\n>>> 2\n2\n```\n\nMore."
    assert module.fenced("A word.\n>>> 3\n3") == "A word.\n```pycon\n>>> 3\n3\n```"
    assert module.fenced("No example.") == "No example."
