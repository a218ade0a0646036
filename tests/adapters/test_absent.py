"""No library is loaded before it is asked for, and one that is absent is named with the line that installs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BRIDGES = {
    "haystack": ("haystack", "haystack"),
    "lancedb": ("lancedb", "lancedb"),
    "langchain": ("langchain_core", "langchain"),
    "llama_index": ("llama_index", "llama-index"),
    "mteb": ("mteb", "mteb"),
    "pyterrier": ("pyterrier", "pyterrier"),
    "sentence_transformers": ("sentence_transformers", "cross-encoder"),
    "transformers": ("transformers", "transformers"),
}
"""Files that import a library at their top: the library, and its extra."""
OTHERS = ("huggingface_hub", "ir_datasets", "pymilvus", "qdrant_client", "rerankers", "weaviate", "faiss", "ranx")


def python(code: str, folder: Path) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_using_rerankit_loads_no_library(tmp_path):
    libraries = [module for module, _ in BRIDGES.values()]
    code = f"""
import sys, rerankit
import rerankit.adapters, rerankit.hub, rerankit.adapters.one_query, rerankit.adapters.hits
import rerankit.adapters.rerankers, rerankit.adapters.ir_datasets, rerankit.adapters.qdrant, rerankit.adapters.weaviate
rerankit.rerank([[0.2, 0.9], [0.9, 0.2]], "mutual-rank")
print(*[name for name in {[*libraries, *OTHERS]} if name in sys.modules])
"""
    assert python(code, tmp_path).split() == []


def test_an_absent_library_is_named_with_its_extra(tmp_path):
    code = f"""
import importlib, json, sys
from rerankit.errors import MissingExtraError

ABSENT = {[module for module, _ in BRIDGES.values()]}

class Finder:
    def __init__(self, real):
        self.real = real
    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in ABSENT else self.real.find_spec(name, path, target)
    def __getattr__(self, name):
        return getattr(self.real, name)

sys.meta_path[:] = map(Finder, sys.meta_path)
said = {{}}
for name in {list(BRIDGES)}:
    try:
        importlib.import_module(f"rerankit.adapters.{{name}}")
    except MissingExtraError as error:
        said[name] = str(error)
print(json.dumps(said))
"""
    said = json.loads(python(code, tmp_path))
    for name, (module, extra) in BRIDGES.items():
        assert f"needs the package '{module}', which is not installed: pip install 'rerankit[{extra}]'" in said[name]
