"""Queries one at a time on the captions: what a bank of labelled pairs gives, and what a log of earlier queries.

    OMP_NUM_THREADS=2 python benchmarks/one_at_a_time.py --data FOLDER [--test]

Bank: the training split's pictures and captions, other things than those searched. Log: for each picture three of its
captions, without labels; the fourth is asked, each of the four in turn. A log's right items lie in the gallery, those
of a bank do not: figures of the two do not compare. Then the other direction, in which several captions belong to a
query, and last, logs in which some pictures are asked for far more often.
Choose on the validation split; `--test` is for the end.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rerankit import Pipeline, Problem, Ranking, Relevance, Stage, rerank, stage

BANK = ("nnn", "csls", "mutual-rank", "inverted-softmax", "sinkhorn", "plan")
LOG = ("nnn", "csls", "mutual-rank", "inverted-softmax", "sinkhorn", "plan", "pillar-plus")
OPINIONS = (
    "score",
    "margin",
    "back-rank",
    "hubness",
    "level",
    "back-margin",
    "balance",
    "gallery-opinion",
)
DEPTH = 100
POWERS = (0, 0.5, 1, 1.5)


def read(data: Path, split: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pictures, texts, and the picture of each text."""
    found = np.load(data / "coco_captions" / f"{split}.npz")
    return found["image"], found["text"], found["image_of_text"]


def relevance(owner: np.ndarray, pictures: int) -> Relevance:
    """Each picture's texts."""
    return Relevance.from_lists([np.flatnonzero(owner == picture).tolist() for picture in range(pictures)], len(owner))


def first(ranking: Ranking, right: Relevance) -> float:
    """R@1 in points."""
    rows = np.arange(len(ranking))
    return 100 * float(right.to_dense()[rows, ranking.indices[:, 0]].mean())


def with_a_bank(data: Path, split: str) -> Iterator[tuple[str, float, float]]:
    """Name, i→t, t→i of the stages alone and behind `metric`."""
    pictures, texts, owner = read(data, "train")
    learned = stage("metric").fit(  # type: ignore[attr-defined]
        Problem.from_embeddings(pictures, texts), relevance(owner, len(pictures))
    )
    queries, items, of = read(data, split)
    problem = Problem.from_embeddings(queries, items, query_bank=pictures, gallery_bank=texts)
    right = relevance(of, len(queries))
    pipelines = [Pipeline([]), Pipeline([learned])]
    pipelines += [begun >> name for name in BANK for begun in pipelines[:2]]
    both = [(pipeline, pipeline.reversed()) for pipeline in pipelines]
    both.append(
        (learned >> weighed(pictures, texts, owner, 0), learned.reversed() >> weighed(pictures, texts, owner, 1))
    )
    for forward, backward in both:
        there = first(rerank(problem, forward, k=DEPTH), right)
        back = first(rerank(problem.reversed(), backward, k=DEPTH), right.reversed())
        yield " >> ".join(one.name for one in forward.stages) or "scores as they are", there, back


def weighed(pictures: np.ndarray, texts: np.ndarray, owner: np.ndarray, direction: int) -> Stage:
    """`learned-fusion` for what stands behind `metric`: one half of the pictures teaches a metric and is the bank, by
    the other half the opinions are weighed.
    """
    halves = np.random.default_rng(0).permutation(len(pictures)) % 2
    sides = [(pictures[halves == half], texts[halves[owner] == half]) for half in (0, 1)]
    rights = [
        relevance(
            np.searchsorted(np.flatnonzero(halves == half), owner[halves[owner] == half]), int((halves == half).sum())
        )
        for half in (0, 1)
    ]
    metric = stage("metric").fit(Problem.from_embeddings(*sides[0]), rights[0])  # type: ignore[attr-defined]
    problem, right = Problem.from_embeddings(*sides[1], query_bank=sides[0][0], gallery_bank=sides[0][1]), rights[1]
    if direction:
        metric, problem, right = metric.reversed(), problem.reversed(), right.reversed()
    fusion: Stage = stage("learned-fusion", opinions=OPINIONS).fit(  # type: ignore[attr-defined]
        metric.transformed(problem), right
    )
    return fusion


def with_a_log(data: Path, split: str) -> Iterator[tuple[str, float, float]]:
    """Name, t→i with one other caption of each picture in the log, and with three."""
    pictures, texts, owner = read(data, split)
    captions = np.argsort(owner, kind="stable").reshape(len(pictures), 4)
    right = Relevance.from_lists([[picture] for picture in range(len(pictures))], len(pictures))
    problems = [
        [
            Problem.from_embeddings(
                texts[captions[:, turn]],
                pictures,
                query_bank=texts[np.roll(captions, -turn, axis=1)[:, 1 : 1 + others].ravel()],
            )
            for turn in range(4)
        ]
        for others in (1, 3)
    ]
    for name in ("", *LOG):
        pipeline = Pipeline(_stages(name))
        found = [np.mean([first(rerank(one, pipeline, k=DEPTH), right) for one in some]) for some in problems]
        yield name or "scores as they are", *map(float, found)


def with_a_log_of_pictures(data: Path, split: str) -> Iterator[tuple[str, float, float]]:
    """Name, i→t with one caption of each picture as the log and the other three to be found, and with half of the
    pictures as the log for the other half, among all captions.
    """
    pictures, texts, owner = read(data, split)
    captions, half = np.argsort(owner, kind="stable").reshape(len(pictures), 4), len(pictures) // 2
    rest = captions[:, 1:].ravel()
    cases = (
        (Problem.from_embeddings(pictures, texts[rest], query_bank=texts[captions[:, 0]]), owner[rest]),
        (Problem.from_embeddings(pictures[:half], texts, query_bank=pictures[half:]), owner),
    )
    for name in ("", "nnn", "csls", "sinkhorn", "plan", "consensus"):
        pipeline = Pipeline(_stages(name))
        found = [first(rerank(one, pipeline, k=DEPTH), relevance(of, one.shape[0])) for one, of in cases]
        yield name or "scores as they are", *found


def with_a_popular_log(data: Path, split: str) -> Iterator[tuple[str, float, float]]:
    """Name and power, t→i over the order as it came: of a query for each picture, and of queries asked for as often as
    the log asks. The log has ten queries for each picture on average, drawn from three of its captions, so that many
    are repeated; the pictures' shares fall with their rank, to that power.
    """
    pictures, texts, owner = read(data, split)
    captions = np.argsort(owner, kind="stable").reshape(len(pictures), 4)
    for power in POWERS:
        random = np.random.default_rng(0)
        shares = random.permutation(np.arange(1.0, len(pictures) + 1) ** -power)
        shares /= shares.sum()
        drawn = random.choice(len(pictures), 10 * len(pictures), p=shares)
        log = texts[captions[drawn, random.integers(1, 4, len(drawn))]]
        problem = Problem.from_embeddings(texts[captions[:, 0]], pictures, query_bank=log)
        before = problem.ranking(DEPTH).indices[:, 0] == np.arange(len(pictures))
        for name in LOG:
            after = rerank(problem, Pipeline(_stages(name)), k=DEPTH).indices[:, 0] == np.arange(len(pictures))
            gained = 100 * (after.astype(float) - before)
            yield f"{name}, power {power:g}", float(gained.mean()), float(gained @ shares)


def _stages(name: str) -> list[Stage]:
    """The stage of a name; `pillar-plus` with the weights that ship, which saw other captions than those searched."""
    weights = {"weights": "captions", "direction": "t2i"} if name == "pillar-plus" else {}
    return [stage(name, **weights)] if name else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--test", action="store_true", help="the test split in place of the validation split")
    given = parser.parse_args()
    split = "test" if given.test else "val"
    for title, columns, rows in (
        (f"a bank of labelled pairs, {split}", ("i→t", "t→i"), with_a_bank(given.data, split)),
        (f"a log of earlier queries, {split}", ("one each", "three each"), with_a_log(given.data, split)),
        (f"a log, i→t, {split}", ("captions", "pictures"), with_a_log_of_pictures(given.data, split)),
        (f"gains with a popular log, {split}", ("each once", "as asked"), with_a_popular_log(given.data, split)),
    ):
        print(f"\n{title:40s} {columns[0]:>10s} {columns[1]:>10s}")
        for name, one, other in rows:
            print(f"{name:40s} {one:10.1f} {other:10.1f}", flush=True)


if __name__ == "__main__":
    main()
