"""A reasoner over similarities, trained on two fifths of the digits and measured on others: `pillar-plus`.

    python examples/train_a_reasoner.py [FOLDER]     # the fitted stage and the curves of its training go there

For pictures and captions, `stage("pillar-plus", weights="captions")` is trained already.
"""

# needs: torch

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import rerankit
from rerankit import Problem, Relevance, evaluate, stage
from rerankit.demo import halves
from rerankit.statistics import compare
from rerankit.training import TrainingSettings


def some(problem: Problem, rows: np.ndarray) -> tuple[Problem, Relevance]:
    """Some of the digits, on both sides."""
    return problem.subset(rows, rows), Relevance.from_lists([[row] for row in range(len(rows))], len(rows))


def main(out: Path) -> None:
    problem = halves().problem
    train, held_out, (asked, relevance) = (some(problem, rows) for rows in np.split(np.arange(900), [360, 450]))
    reasoner = stage("pillar-plus", parts=2)
    settings = TrainingSettings(epochs=8, batch_size=64, learning_rate=1e-2, device="cpu")
    reasoner.fit(*train, validation=held_out, settings=settings, out=out / "training")  # type: ignore[attr-defined]
    print(reasoner.history)  # type: ignore[attr-defined]
    reasoner.save(out / "reasoner", overwrite=True)

    loaded = rerankit.load(out / "reasoner")
    metrics = ["success@1", "success@5", "success@10"]
    before = evaluate(asked.ranking(50), relevance, metrics)
    after = evaluate(rerankit.rerank(asked, loaded, k=50), relevance, metrics)
    print(compare({"scores as they are": before, "pillar-plus": after}, samples=2000))
    print(f"\n{out / 'training' / 'curves.png'}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
