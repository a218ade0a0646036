"""What a choice gains for one query at a time, on halves of the sets of real scores: without labels, and with them.

    python benchmarks/choosing.py --data FOLDER [--seeds 2] [--significance 0.05]

Each set is cut into halves by what it shows. One half is searched, the other half's queries are its bank; `auto` sees
no labels, `choose` is told what is right in the other half and answers one query at a time. Gains are points of R@1
over the order as it came. The rules of the choice were made on these sets.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from real_sets import View, first_right, views
from rerankit import Pipeline, Problem, Relevance, choose, rerank, stage

CANDIDATES = 100


def gain_of(pipeline: Pipeline, problem: Problem, part: View) -> float:
    before, after = problem.ranking(CANDIDATES), rerank(problem, pipeline, k=CANDIDATES)
    found = [first_right(one.indices, one.scores, part.right).mean() for one in (after, before)]
    return float(found[0] - found[1])


def ways(view: View, seed: int, significance: float | None) -> Iterator[tuple[str, float]]:
    """The ways to choose, and what each gains on one pair of halves."""
    part, problem = view.halves(seed)
    automatic = Pipeline([stage("auto", test_queries=False, significance=significance)])
    yield "auto, without labels", gain_of(automatic, problem, part)
    other = view.other_half(seed)
    pairs = other.problem(), Relevance.from_dense(other.right)
    chosen = choose(problem, bank=pairs, test_queries=False, significance=significance)
    yield "choose, with the other half's labels", gain_of(Pipeline(chosen.stages), problem, part)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=2, help="pairs of halves of each set")
    parser.add_argument("--significance", type=float, help="the level at which a gain counts")
    given = parser.parse_args()
    gains: dict[str, list[float]] = {}
    for view in views(given.data, every_direction=False, control=False):
        found = [dict(ways(view, seed, given.significance)) for seed in range(given.seeds)]
        means = {way: float(np.mean([each[way] for each in found])) for way in found[0]}
        print(f"{view.name:30s} " + "  ".join(f"{way} {gain:+6.2f}" for way, gain in means.items()), flush=True)
        for way, gain in means.items():
            gains.setdefault(way, []).append(gain)
    for way, values in gains.items():
        print(f"{way:40s} {len(values)} views: mean {np.mean(values):+.2f}, worst {min(values):+.2f}")


if __name__ == "__main__":
    main()
