"""One query at a time, as a service answers: a gallery with a bank of old queries, prepared once, saved and loaded.

Without other queries to compare with, a stage that corrects hubs needs a bank of them. An answer then depends on
the query, the gallery and the bank alone: it is the same whoever else asks.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

import rerankit
from rerankit import Gallery, Problem, Ranking, Relevance, evaluate
from rerankit.demo import halves
from rerankit.statistics import compare


def main() -> None:
    digits = halves()
    # Vectors whose products are the demo's scores: stand-ins for what a backbone gives.
    left, strength, right = np.linalg.svd(digits.problem.scores.rows(), full_matrices=False)
    queries, items = (left * strength)[:, :40], right[:40].T
    old, new = np.arange(450), np.arange(450, 900)
    ids = [f"digit-{row}" for row in new]
    gallery = Gallery(
        items[new], ids=ids, metric="dot", bank=queries[old]
    )  # the right items of old queries are not in it

    with tempfile.TemporaryDirectory() as folder:
        rerankit.prepare("sinkhorn", gallery).save(Path(folder) / "ready")
        ready = rerankit.load(Path(folder) / "ready")  # the arrays are mapped, and processes share them
        answers, seconds = [], []
        for query in queries[new]:
            started = time.perf_counter()
            answers.append(ready.rerank(query, k=50))
            seconds.append(time.perf_counter() - started)
    print("the first query gets", answers[0].top(3).to_dict()[0], "\n")

    relevance = Relevance.from_lists([[row] for row in range(450)], 450)
    before = Problem.from_embeddings(queries[new], items[new], "dot").ranking(50)
    found = {"as searched": before, "sinkhorn, prepared": Ranking.concat(answers)}
    print(compare({name: evaluate(each, relevance, ["success@1"]) for name, each in found.items()}, samples=2000))
    print(f"looks at: {answers[0].notes['looks_at']}")
    print(f"{1000 * np.median(seconds):.1f} ms for a query (median)")


if __name__ == "__main__":
    main()
