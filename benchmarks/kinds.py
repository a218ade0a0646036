"""What stages gain on kinds of data that are not on the panel: classes, clusters, lines, walks, few dimensions.

    python benchmarks/kinds.py [--stages nnn sinkhorn] [--seeds 2] [--every] [--markdown]

Handwritten digits and three tables that come with scikit-learn are searched for members of the same class; the rest is
drawn: normal classes, one-to-one pairs in few dimensions and in clusters, a walk whose steps stand near each other,
many queries for a few labels.
Every kind is compared by the cosine and by distances. Gains in R@1 and in mean average precision among 100 candidates.
The rule that looks at how steeply rows fall behind their first place was made on these kinds, with the same seeds.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn import datasets

import rerankit
from panel import LOSS
from rerankit import Problem, Relevance
from rerankit.metrics import evaluate
from rerankit.scores.products import VectorMetric

STAGES = (
    "sinkhorn", "inverted-softmax", "dual-softmax", "qb-norm", "nnn", "csls", "mutual-rank", "mutual-neighbours",
    "plan", "consensus", "auto",
)  # fmt: skip
CANDIDATES = 100
FIGURES = ("success@1", "map")
METRICS: tuple[VectorMetric, ...] = ("cosine", "euclidean")
GROUPS = {
    "classes": ("digits", "wine", "breast cancer", "iris", "normal classes"),
    "one to one": ("pairs",),
    "a walk": ("walk",),
    "one subject": ("asked",),
    "labels": ("labels",),
}


class Kind(NamedTuple):
    """Vectors of queries and of items, and which items are right (queries, items)."""

    name: str
    queries: np.ndarray
    items: np.ndarray
    right: np.ndarray


def tables(random: np.random.Generator) -> Iterator[Kind]:
    """Rows of tables look for rows of the same class."""
    digits = datasets.load_digits()
    pixels = {"digits": slice(None), "digits, 16 pixels": slice(0, None, 4), "digits, 8 pixels": slice(2, None, 8)}
    for name, some in pixels.items():
        yield of_classes(name, digits.data[:, some], digits.target, random)
    for table in ("wine", "breast_cancer", "iris"):
        found = getattr(datasets, f"load_{table}")()
        yield of_classes(table.replace("_", " "), found.data, found.target, random)


def subjects(random: np.random.Generator) -> Iterator[Kind]:
    """All queries ask for the same few classes of ten."""
    digits = datasets.load_digits()
    values = _standard(digits.data)
    for classes in (1, 3):
        asked = random.permutation(np.flatnonzero(digits.target < classes))[: 50 + 50 * classes]
        rest = np.setdiff1d(np.arange(len(values)), asked)
        right = digits.target[asked][:, None] == digits.target[rest]
        yield Kind(f"digits, {classes} of ten classes asked", values[asked], values[rest], right)


def labels(random: np.random.Generator) -> Iterator[Kind]:
    """Many queries look for their label among a few: evenly, or by shares that fall as a label's rank or its square."""
    digits = datasets.load_digits()
    values = _standard(digits.data)
    taught, asked = np.split(random.permutation(len(values)), [900])
    means = np.array([values[taught[digits.target[taught] == label]].mean(axis=0) for label in range(10)])
    for power in (0, 1, 2):
        shares = np.arange(1.0, 11) ** -power
        some = asked[random.random(len(asked)) < shares[digits.target[asked]]]
        right = digits.target[some][:, None] == np.arange(10)
        yield Kind(f"labels of pictures, power {power}", values[some], means, right)
        for items in (3, 50, 200):
            centres, shares = random.normal(size=(items, 32)), np.arange(1.0, items + 1) ** -power
            wanted = random.choice(items, size=1000, p=shares / shares.sum())
            queries = centres[wanted] + random.normal(size=(1000, 32))
            yield Kind(f"{items} labels, power {power}", queries, centres, wanted[:, None] == np.arange(items))


def drawn_classes(random: np.random.Generator) -> Iterator[Kind]:
    """Normal classes of so many members in so many dimensions."""
    for classes, members, width, noise in ((50, 10, 64, 1.2), (200, 4, 32, 1.0), (20, 50, 16, 1.0), (10, 100, 4, 0.7)):
        labels = np.repeat(np.arange(classes), members)
        vectors = random.normal(size=(classes, width))[labels] + noise * random.normal(size=(len(labels), width))
        yield of_classes(f"normal classes, {classes} of {members}", vectors, labels, random)


def pairs(random: np.random.Generator) -> Iterator[Kind]:
    """One item for each query: in few dimensions, positive and skewed, in clusters."""
    same = np.eye(500, dtype=bool)
    for width, noise in ((2, 0.05), (3, 0.15), (5, 0.4), (10, 0.8)):
        things = random.normal(size=(500, width))
        yield Kind(f"pairs in {width} dimensions", *_twice(things, noise, random), same)
    skewed = np.exp(random.normal(size=(500, 3)))
    sides = (skewed * np.exp(0.1 * random.normal(size=skewed.shape)) for _ in range(2))
    yield Kind("pairs, positive and skewed", *sides, same)
    centres = 2 * random.normal(size=(25, 16))
    for name, chosen in (("even", np.arange(500) % 25), ("uneven", _unevenly(25, 500, random))):
        things = centres[chosen] + 0.6 * random.normal(size=(500, 16))
        yield Kind(f"pairs in {name} clusters", *_twice(things, 0.5, random), same)


def walk(random: np.random.Generator) -> Iterator[Kind]:
    """Each step looks for itself and the two before and after it."""
    path = 0.3 * np.concatenate([random.normal(size=(400, 8)).cumsum(axis=0), random.normal(size=(400, 8))], axis=1)
    near = np.abs(np.arange(400)[:, None] - np.arange(400)) <= 2
    yield Kind("walk", *_twice(path, 0.5, random), near)


def of_classes(name: str, values: np.ndarray, labels: np.ndarray, random: np.random.Generator) -> Kind:
    """A third of the rows looks among the others for those of its class."""
    order = random.permutation(len(values))
    asked, rest = order[: len(order) // 3], order[len(order) // 3 :]
    values = _standard(values)
    return Kind(name, values[asked], values[rest], labels[asked][:, None] == labels[rest])


def _standard(values: np.ndarray) -> np.ndarray:
    found: np.ndarray = (values - values.mean(axis=0)) / (values.std(axis=0) + 1e-6)
    return found


def _twice(things: np.ndarray, noise: float, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Things as both sides see them."""
    one, other = (things + noise * random.normal(size=things.shape) for _ in range(2))
    return one, other


def _unevenly(groups: int, number: int, random: np.random.Generator) -> np.ndarray:
    shares = 1 / np.arange(1, groups + 1)
    return random.choice(groups, size=number, p=shares / shares.sum())


def gains(kind: Kind, metric: VectorMetric, stages: Sequence[str]) -> np.ndarray:
    """R@1 and mean average precision in points: the order as it came, then what each stage adds, (1 + stages, 2)."""
    known = kind.right.any(axis=1)
    problem = Problem.from_embeddings(kind.queries[known], kind.items, metric=metric)
    right = Relevance.from_dense(kind.right[known])
    rankings = [problem.ranking(CANDIDATES), *(rerankit.rerank(problem, stage, k=CANDIDATES) for stage in stages)]
    evaluations = [evaluate(ranking, right, FIGURES) for ranking in rankings]
    found = np.array([[100 * float(each[name]) for name in FIGURES] for each in evaluations])
    found[1:] -= found[0]
    return found


def rows(measured: dict[str, np.ndarray], stages: Sequence[str]) -> list[list[str]]:
    """For each stage the mean and the worst gain over the kinds of a group."""
    found = []
    for column, stage in enumerate(stages, 1):
        row = [f"`{stage}`"]
        for words in GROUPS.values():
            of_group = np.array([values[column] for name, values in measured.items() if _belongs(name, words)])
            row += [f"{of_group[:, at].mean():+.1f} / {_marked(of_group[:, at].min())}" for at in (0, 1)]
        found.append(row)
    return found


def _belongs(name: str, words: Sequence[str]) -> bool:
    asked = "asked" in name
    return asked == ("asked" in words) and any(word in name for word in words)


def _marked(worst: float) -> str:
    return f"**{worst:+.1f}**" if worst < LOSS else f"{worst:+.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stages", nargs="+", default=STAGES)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--every", action="store_true", help="print every kind, too")
    parser.add_argument("--markdown", action="store_true")
    given = parser.parse_args()
    measured: dict[str, np.ndarray] = {}
    for seed in range(given.seeds):
        for maker in (tables, subjects, labels, drawn_classes, pairs, walk):
            for kind in maker(np.random.default_rng(seed)):
                for metric in METRICS:
                    found = measured[f"{kind.name}, {metric} {seed}"] = gains(kind, metric, given.stages)
                    if given.every:
                        cells = "  ".join(f"{first:+5.1f}/{mean:+5.1f}" for first, mean in found)
                        print(f"{kind.name:34} {metric:9} {cells}", flush=True)
    heads = [f"{group}: {metric}" for group in GROUPS for metric in ("R@1", "mAP")]
    if given.markdown:
        print(f"| stage | {' | '.join(heads)} |\n| --- |{' --: |' * len(heads)}")
        print("\n".join(f"| {' | '.join(row)} |" for row in rows(measured, given.stages)))
        return
    table = Table("stage", *heads, title="mean / worst gain, points")
    for row in rows(measured, given.stages):
        table.add_row(*(cell.strip("`").replace("**", "") for cell in row))
    Console().print(table)


if __name__ == "__main__":
    main()
