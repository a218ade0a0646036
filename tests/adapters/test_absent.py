"""No library is loaded before it is asked for, and one that is absent is named with the line that installs it."""

from __future__ import annotations

import json

import pytest

from interpreter import python, without

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
    code = f"""{without(module for module, _ in BRIDGES.values())}
import importlib, json
from rerankit.errors import MissingExtraError

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


def test_columns_of_pandas_need_no_pyarrow(tmp_path):
    pytest.importorskip("pandas")
    code = f"""{without(["pyarrow"])}
import pandas as pd, rerankit
vectors = pd.Series([[1.0, 0.0], [0.0, 1.0]])
print(rerankit.Problem.from_embeddings(vectors, vectors, query_ids=pd.Series(["a", "b"])))
"""
    assert python(code, tmp_path).strip() == "Problem(2 queries × 2 items, EmbeddingScores)"
