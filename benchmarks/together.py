"""The captions with all test queries at hand: what stands behind `metric`, and fusions of several networks.

    OMP_NUM_THREADS=2 python benchmarks/together.py --data FOLDER [--test] [--seeds 1 2]

R@1 from pictures to texts and back. `metric` and `pillar-plus` learned from the training split; `--seeds` trains more
networks (four minutes each on two cores) beside the weights that ship, and all are fused by the mean of their
standardised scores. Choose on the validation split; `--test` is for the end.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from one_at_a_time import DEPTH, first, read, relevance
from pillar_quality import captions
from rerankit import Pipeline, Problem, Stage, rerank, stage
from rerankit.training import TrainingSettings


def reasoners(data: Path, seeds: Sequence[int]) -> list[Any]:
    """The network that ships, and one for each seed."""
    found: list[Any] = [stage("pillar-plus", weights="captions")]
    for seed in seeds:
        one: Any = stage("pillar-plus")
        settings = TrainingSettings(**{**vars(one.training_settings()), "seed": seed})
        found.append(one.fit(*captions(data, "train"), validation=captions(data, "val"), settings=settings))
    return found


def pipelines(metric: Any, networks: Sequence[Any]) -> Iterator[tuple[str, Pipeline]]:
    """What is compared, by name."""
    behind = [Pipeline([metric, one]) for one in networks]
    yield "metric >> sinkhorn", Pipeline([metric, stage("sinkhorn")])
    yield "metric >> consensus", Pipeline([metric, stage("consensus")])
    yield "pillar-plus", Pipeline([networks[0]])
    yield "metric >> pillar-plus", behind[0]
    yield "fuse(pillar-plus, metric >> pillar-plus)", fused([networks[0], behind[0]])
    if len(networks) > 1:
        yield f"the same of {len(networks)} networks", fused([*networks, *behind])


def fused(sources: Sequence[Stage]) -> Pipeline:
    """The mean of standardised scores."""
    return Pipeline([stage("fuse", sources=list(sources), normalise="z-score")])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--test", action="store_true", help="the test split in place of the validation split")
    parser.add_argument("--seeds", type=int, nargs="*", default=[], help="further networks to train")
    given = parser.parse_args()
    pictures, texts, owner = read(given.data, "train")
    metric: Any = stage("metric")
    metric.fit(Problem.from_embeddings(pictures, texts), relevance(owner, len(pictures)))
    queries, items, of = read(given.data, "test" if given.test else "val")
    problem, right = Problem.from_embeddings(queries, items), relevance(of, len(queries))
    print(f"{'test' if given.test else 'validation':45s} {'i→t':>6s} {'t→i':>6s}")
    for name, pipeline in pipelines(metric, reasoners(given.data, given.seeds)):
        there = first(rerank(problem, pipeline, k=DEPTH), right)
        back = first(rerank(problem.reversed(), pipeline.reversed(), k=DEPTH), right.reversed())
        print(f"{name:45s} {there:6.2f} {back:6.2f}", flush=True)


if __name__ == "__main__":
    main()
