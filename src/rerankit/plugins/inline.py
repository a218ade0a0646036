"""One-file plugins: a path to a Python file instead of an installed package."""

from __future__ import annotations

import importlib.util
import os
import sys
import zlib
from pathlib import Path
from types import ModuleType

from rerankit.errors import PluginError


def module_from(path: str | os.PathLike[str]) -> ModuleType:
    """The file as a module, imported now."""
    file = Path(path).expanduser()
    if not file.is_file():
        raise PluginError("there is no such file")
    # The whole path is part of the name, so that two files named alike are two plugins.
    name = f"rerankit_inline_{zlib.crc32(str(file.resolve()).encode()):08x}_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise PluginError("it is not a Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # classes defined there must be importable, or they do not pickle
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
