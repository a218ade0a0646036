"""The sets of real scores that `panel.py` and `batch_curve.py` measure on: one view for each set and direction."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rerankit import Bank, Problem

PLACES = ("sped", "corridor")


@dataclass(frozen=True)
class View:
    """One direction of search in one set: scores, which items are right, relations where there are vectors."""

    name: str
    scores: np.ndarray
    right: np.ndarray
    """(queries, items), bool."""
    owner: np.ndarray
    """For each query the thing it shows, so that a split by things keeps what belongs together."""
    item_owner: np.ndarray
    query_scores: np.ndarray | None = None
    gallery_scores: np.ndarray | None = None

    def problem(self, queries: np.ndarray | None = None) -> Problem:
        """The view as a problem, of some queries."""
        whole = Problem(self.scores, query_scores=self.query_scores, gallery_scores=self.gallery_scores)
        return whole if queries is None else whole.subset(queries)

    def lists(self, k: int) -> Problem:
        """The same with the first k items of each query in place of the matrix."""
        first = Problem(self.scores).ranking(k)
        return Problem.from_rankings(
            first.indices,
            first.scores,
            self.scores.shape[1],
            query_scores=self.query_scores,
            gallery_scores=self.gallery_scores,
        )

    def halves(self, seed: int) -> tuple[View, Problem]:
        """Half of the things as a test, and its problem with the other half's queries as a bank."""
        tested = self._tested(seed)
        part, bank = self.of(tested), ~np.isin(self.owner, tested)
        items = np.isin(self.item_owner, tested)
        relations = self.query_scores
        known = Bank(
            to_gallery=self.scores[bank][:, items],
            to_queries=None if relations is None else relations[bank][:, ~bank],
            to_bank=None if relations is None else relations[bank][:, bank],
        )
        return part, part.problem().with_banks(query_bank=known)

    def other_half(self, seed: int) -> View:
        """What the test of `halves` leaves out, whose queries are its bank."""
        return self.of(np.setdiff1d(self.things, self._tested(seed)))

    @property
    def things(self) -> np.ndarray:
        return np.unique(np.concatenate([self.owner, self.item_owner]))

    def of(self, things: np.ndarray) -> View:
        """The view of some things alone."""
        queries, items = np.isin(self.owner, things), np.isin(self.item_owner, things)
        return View(
            self.name,
            self.scores[queries][:, items],
            self.right[queries][:, items],
            self.owner[queries],
            self.item_owner[items],
            None if self.query_scores is None else self.query_scores[queries][:, queries],
            None if self.gallery_scores is None else self.gallery_scores[items][:, items],
        )

    def _tested(self, seed: int) -> np.ndarray:
        things, random = self.things, np.random.default_rng(seed)
        if self.name.startswith("corridor"):  # neighbouring places are right for each other: cut the corridor in two
            return things[(np.arange(len(things) // 2) + random.integers(len(things))) % len(things)]
        return random.permutation(things)[: len(things) // 2]


def views(data: Path, split: str = "val", *, every_direction: bool = True, control: bool = True) -> list[View]:
    """All views of the sets in `data`; of the captions those of one split."""
    captions = np.load(data / "coco_captions" / f"{split}.npz")
    found = [*_two_sided("captions", captions["image"], captions["text"], captions["image_of_text"])]
    clip = data / "coco_clip500"
    found += _two_sided("CLIP", *(np.load(clip / f"{part}.npy") for part in ("image", "text", "image_of_text")))
    recipes = data / "im2recipe"
    found += _two_sided(
        "recipes", *(np.load(recipes / f"{part}.npy") for part in ("image", "recipe", "image_of_recipe"))
    )
    for name in PLACES:
        found += _places(data / name, every_direction)
    if control:
        parts = ("control_image", "control_text", "control_image_of_text")
        found += _two_sided("control", *(np.load(clip / f"{part}.npy") for part in parts))
    return found


def _two_sided(name: str, images: np.ndarray, texts: np.ndarray, owner: np.ndarray) -> list[View]:
    one, other = (_unit(side) for side in (images, texts))
    scores, right = one @ other.T, np.arange(len(one))[:, None] == owner[None]
    forward = View(f"{name} i→t", scores, right, np.arange(len(one)), owner, one @ one.T, other @ other.T)
    return [forward, _reversed(forward, f"{name} t→i")]


def _places(folder: Path, every_direction: bool) -> Iterator[View]:
    relevant = json.loads((folder / "relevant.json").read_text())
    for path in sorted(folder.glob("*.npy")):
        scores = np.load(path).astype(np.float32)
        right = np.zeros(scores.shape, bool)
        for query, items in relevant.items():
            right[int(query), items] = True
        owner = np.arange(len(scores))
        partner = right.argmax(axis=1) if folder.name == "sped" else owner
        items = np.empty(scores.shape[1], np.int64)
        items[partner] = owner
        forward = View(f"{folder.name} {path.stem}", scores, right, owner, items)
        yield forward
        if every_direction:
            yield _reversed(forward, f"{folder.name} {path.stem} ←")


def _reversed(view: View, name: str) -> View:
    return View(
        name,
        np.ascontiguousarray(view.scores.T),
        np.ascontiguousarray(view.right.T),
        view.item_owner,
        view.owner,
        view.gallery_scores,
        view.query_scores,
    )


def _unit(vectors: np.ndarray) -> np.ndarray:
    wide = vectors.astype(np.float32)
    return wide / np.linalg.norm(wide, axis=1, keepdims=True)


def first_right(indices: np.ndarray, scores: np.ndarray, right: np.ndarray) -> np.ndarray:
    """R@1 of each query (queries,), in points; items that tie for the first place share it."""
    best = (scores == scores[:, :1]) & (indices >= 0)
    chosen = np.take_along_axis(right, np.maximum(indices, 0), axis=1) & best
    return 100 * chosen.sum(axis=1) / np.maximum(best.sum(axis=1), 1)
