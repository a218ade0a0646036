"""The lists of a vector database, re-ranked as they are: nothing beyond the first 50 items of each query is known.

An index of FAISS goes in as it is, and so does a table of pandas with a row for each hit; where neither is installed,
indices and scores do the same.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np

import rerankit
from rerankit import Problem, evaluate
from rerankit.demo import halves
from rerankit.statistics import compare

K = 50


def lists(queries: np.ndarray[Any, Any], gallery: np.ndarray[Any, Any]) -> dict[str, Problem]:
    """The same hits in the forms in which they come."""
    scores = queries @ gallery.T
    indices = np.argsort(-scores, axis=1, kind="stable")[:, :K]
    hits = np.take_along_axis(scores, indices, axis=1)
    found = {"arrays": Problem.from_rankings(indices, hits, gallery_size=len(gallery))}
    if find_spec("faiss"):
        import faiss

        from rerankit.adapters.faiss import problem_of

        index = faiss.IndexFlatIP(gallery.shape[1])
        index.add(gallery)
        found["FAISS"] = problem_of(index, queries, K)
    if find_spec("pandas"):
        import pandas

        rows = np.repeat(np.arange(len(queries)), K)
        table = pandas.DataFrame({"query": rows, "item": indices.ravel(), "score": hits.ravel()})
        found["pandas"] = Problem(table, query_ids=range(len(queries)), gallery_ids=range(len(gallery)))
    return found


def main() -> None:
    digits = halves()
    # Vectors whose products are the demo's scores: stand-ins for what a backbone gives.
    left, strength, right = np.linalg.svd(digits.problem.scores.rows(), full_matrices=False)
    queries, gallery = (left * strength)[:, :40].astype("float32"), np.ascontiguousarray(right[:40].T, "float32")
    problems = lists(queries, gallery)
    found = {"as the database lists them": evaluate(problems["arrays"].ranking(K), digits.own, ["success@1"])}
    for form, problem in problems.items():
        for name in ("csls", "sinkhorn"):
            found[f"{name} of {form}"] = evaluate(rerankit.rerank(problem, name, k=K), digits.own, ["success@1"])
    print(compare(found, samples=2000))


if __name__ == "__main__":
    main()
