"""indexed: a stage whose lists of neighbours come from an index of FAISS."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rerankit import Stage, pipelines
from rerankit.errors import rule
from rerankit.pipelines.finding import Search
from rerankit_faiss.indexes import built, set_up


class FaissIndexed(pipelines.Indexed):
    """Another stage, whose lists of neighbours among vectors come from an index of FAISS.

    It serves `k-reciprocal`, `gnn`, `diffusion`, `dba`, `consensus` and `plan`, alone or inside others. `index` is a
    text of FAISS's factory (by itself all items are compared up to 50,000, and HNSW32 is used beyond), `settings` says
    how thoroughly it searches: ``"nprobe=16"``, ``"efSearch=128"``. The notes say which share of the true neighbours it
    missed, by `sample` rows of each index that were looked up exactly, too.

    >>> from rerankit import Problem, rerank, stage
    >>> vectors = np.random.default_rng(0).normal(size=(300, 16))
    >>> problem = Problem.from_embeddings(vectors[:20], vectors)
    >>> found = rerank(problem, FaissIndexed(stage("diffusion"), index="IVF8,Flat", settings="nprobe=8"), k=10)
    >>> found.notes["indexed"], found == rerank(problem, "diffusion", k=10)
    ({'missed': 0.0}, True)
    """

    name = "indexed"

    def __init__(self, stage: Stage, index: str | None = None, settings: str = "", sample: int = 200) -> None:
        super().__init__(stage, sample)
        if not isinstance(index, str | None):
            raise rule("index", "must be a text of FAISS's factory, such as 'HNSW32', or None", index)
        if not isinstance(settings, str):
            raise rule("settings", "must be a text, such as 'nprobe=16'", settings)
        self.index, self.settings = index, settings

    def searched(self, vectors: NDArray[np.float32], metric: str) -> Search:
        made = built(vectors, metric, self.index)
        set_up(made, self.settings)

        def search(asked: NDArray[np.float32], k: int) -> NDArray[np.int64]:
            found: NDArray[np.int64] = made.search(np.ascontiguousarray(asked), k)[1]
            return found

        return search
