"""Whose code a class is, and which version of it: what tells an edited plugin from what it was."""

from __future__ import annotations

import hashlib
import inspect
import re
import sys
from collections.abc import Iterable
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from types import CodeType
from typing import Any

from rerankit.plugins.manager import GROUP
from rerankit.version import __version__

# They say nothing of what a class computes, or are known by the version of rerankit.
_KNOWN = frozenset({*sys.stdlib_module_names, "rerankit", "numpy", "torch"} - {"__main__"})


def code_of(things: Iterable[Any]) -> dict[str, str]:
    """By package, the distribution and the sources of the code that classes (with their bases) and functions are of.

    A package's sources are all its Python files, those of a file of its own that file; what has no file, typed into a
    shell, is known by what was compiled of it. What ships with rerankit is known by its version.

    >>> list(code_of([dict]))
    ['rerankit']
    """
    found = {"rerankit": __version__}
    for one in dict.fromkeys(base for each in things for base in getattr(each, "__mro__", (each,))):
        package = one.__module__.partition(".")[0]
        if package not in _KNOWN:
            found[_name(package, one)] = ", ".join(
                (*_distributions(package), f"sources {_sources(package, one, _loaded(one))}")
            )
    return found


def remedy(code: Any) -> str:
    """What to do about code that is not here, from what `code_of` said of it elsewhere, if it did.

    >>> remedy({"rerankit": "0.1.0", "mine": "rerankit-mine 2.0, sources 09af"})
    "it was saved with rerankit-mine 2.0: pip install 'rerankit-mine==2.0'"
    >>> remedy({"rerankit": "0.1.0", "mine.py": "sources 09af"})
    'it was saved with a plugin of one file, mine.py: load it first (--plugin mine.py)'
    """
    others = (
        {name: version_text for name, version_text in code.items() if name != "rerankit"}
        if isinstance(code, dict)
        else {}
    )
    for name, version_text in others.items():
        named = re.match(r"([A-Za-z0-9][\w.-]*) ([A-Za-z0-9][\w.+!-]*), ", str(version_text))
        if named:
            return f"it was saved with {named[1]} {named[2]}: pip install '{named[1]}=={named[2]}'"
        if re.fullmatch(r"[\w-]+\.py", str(name)):
            return f"it was saved with a plugin of one file, {name}: load it first (--plugin {name})"
    return ""


def changed(code: Any, here: dict[str, str]) -> list[str]:
    """The packages of plugins whose code here is not what `code_of` said of it elsewhere.

    >>> changed({"mine": "mine 2.0, sources 09af"}, {"rerankit": "0.1.0", "mine": "mine 2.1, sources 7c1d"})
    ['mine']
    """
    saved = code if isinstance(code, dict) else {}
    return sorted(name for name, text in here.items() if name != "rerankit" and saved.get(name) != text)


def _name(package: str, one: Any) -> str:
    files = _files(package)
    return f"{package}.{one.__qualname__}" if not files else files[""].name if "" in files else package


def _distributions(package: str) -> list[str]:
    """The plugins' distributions that have a package, with their versions."""
    found = (each for each in metadata.entry_points(group=GROUP) if each.module.partition(".")[0] == package)
    return sorted({f"{each.dist.name} {each.dist.version}" for each in found if each.dist is not None})


@lru_cache(maxsize=256)
def _sources(package: str, one: Any, loaded: str) -> str:
    """SHA-256 of sources as they are when they are first asked for: what is edited later is not what runs here.

    What was loaded again is another class or function, or `loaded` is, what was compiled of it.
    """
    total = hashlib.sha256()
    for place, file in _files(package).items():
        total.update(f"<{place}>".encode() + file.read_bytes())
    return total.hexdigest() if _files(package) else loaded


def _files(package: str) -> dict[str, Path]:
    """The Python files of a package or of a module by their places in it."""
    module = sys.modules.get(package)
    folders = [Path(each) for each in getattr(module, "__path__", ())]
    file = Path(getattr(module, "__file__", None) or "")
    if not folders:
        return {"": file} if file.is_file() else {}
    return {each.relative_to(folder).as_posix(): each for folder in folders for each in sorted(folder.rglob("*.py"))}


def _loaded(one: Any) -> str:
    """SHA-256 of a compiled function, or of those of a class."""
    total = hashlib.sha256()
    for name, value in sorted(vars(one).items()) if isinstance(one, type) else [("", one)]:
        function = inspect.unwrap(getattr(value, "fget", None) or getattr(value, "__func__", value))
        if isinstance(code := getattr(function, "__code__", None), CodeType):
            total.update(f"<{name}>".encode() + repr(compiled(code)).encode())
    return total.hexdigest()


def compiled(code: CodeType) -> tuple[Any, ...]:
    """What was compiled, without where it stands; sets have no order of their own."""
    constants = [
        compiled(each)
        if isinstance(each, CodeType)
        else sorted(map(repr, each))
        if isinstance(each, frozenset)
        else each
        for each in code.co_consts
    ]
    return code.co_code, code.co_names, constants
