"""The clients that others publish for these services, against a service of this package."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

sys.path.insert(0, str(Path(__file__).parent))
from test_remote_stage import ready

from conftest import Served, serving_ready
from fake_service import letters

TEXTS = ["dog", "a black cat", "act", "cart of a trader"]
BEST = sorted(range(4), key=lambda place: -letters("cat", TEXTS[place]))


@pytest.fixture(scope="module")
def reads() -> Iterator[Served]:
    with serving_ready(ready(), "secret") as served:
        yield served


def test_cohere(reads: Served):
    cohere = pytest.importorskip("cohere")
    given = {"base_url": f"http://127.0.0.1:{reads.port}", "api_key": "secret"}
    for kind in (cohere.ClientV2, cohere.Client):
        with kind(**given) as client:
            found = client.rerank(model="m", query="cat", documents=TEXTS, top_n=3)
        assert [one.index for one in found.results] == BEST[:3]
        assert found.results[0].relevance_score == pytest.approx(letters("cat", TEXTS[BEST[0]]))


def test_jina_by_langchain(reads: Served, monkeypatch: pytest.MonkeyPatch):
    module = pytest.importorskip("langchain_community.document_compressors.jina_rerank")
    documents = pytest.importorskip("langchain_core.documents")
    monkeypatch.setattr(module, "JINA_API_URL", f"http://127.0.0.1:{reads.port}/v1/rerank")
    client = module.JinaRerank(jina_api_key="secret", top_n=3)
    with client.session:  # which nobody closes: its socket would be a warning wherever it is collected
        found = client.compress_documents([documents.Document(page_content=text) for text in TEXTS], "cat")
    assert [one.page_content for one in found] == [TEXTS[place] for place in BEST[:3]]


def test_jina_by_llama_index(reads: Served):
    client = pytest.importorskip("llama_index.postprocessor.jinaai_rerank").JinaRerank(
        base_url=f"http://127.0.0.1:{reads.port}/v1", api_key="secret", top_n=3
    )
    with client._session:  # the same
        _in_llama_index(client)


def test_tei_by_llama_index(reads: Served):
    module = pytest.importorskip("llama_index.postprocessor.tei_rerank")
    base_url = f"http://127.0.0.1:{reads.port}"
    _in_llama_index(module.TextEmbeddingInference(base_url=base_url, auth_token="Bearer secret", top_n=3))


def _in_llama_index(client: object) -> None:
    schema = pytest.importorskip("llama_index.core.schema")
    nodes = [schema.NodeWithScore(node=schema.TextNode(text=text), score=0.5) for text in TEXTS]
    found = client.postprocess_nodes(nodes, query_str="cat")  # type: ignore[attr-defined]
    assert [one.node.get_content() for one in found] == [TEXTS[place] for place in BEST[:3]]
