"""The kits for metrics, tasks and formats pass what ships, and fail what is broken in the way they look for."""

from __future__ import annotations

import itertools
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rerankit.errors import FormatError, InputError
from rerankit.formats import Format
from rerankit.formats.content import Tables, Triples
from rerankit.formats.npz import NpzFormat
from rerankit.formats.registry import formats
from rerankit.metrics import metrics_available
from rerankit.metrics.metric import traits
from rerankit.tasks import task
from rerankit.tasks.generic import Generic
from rerankit.testing import CheckFailed, check_format, check_metric, check_task


@pytest.mark.parametrize("name", list(metrics_available()))
def test_every_metric_passes(name: str) -> None:
    check_metric(metrics_available()[name].function, of_wrong=name == "neg_recall")


def first(places: Any) -> Any:
    """1 where the first item is right."""
    return places.per_query((places.above == 0) * places.relevant / places.size)


def early(places: Any) -> Any:
    """How early the right items stand."""
    return places.per_query(places.relevant / (1 + places.above))


COUNTER = itertools.count()


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (lambda places: first(places)[:3], "must give a finite number for each of 7 queries"),
        (lambda places: first(places) * np.nan, "must give a finite number for each of 7 queries"),
        (lambda places: first(places) + next(COUNTER), "gives other values the second time"),
        (lambda places: first(places) + np.arange(7), "gives other values to queries in another order"),
        (lambda places: early(places) - early(places).mean(), "gives other values to queries without some of the"),
        (lambda places, k: early(places), "depends on the order of what stands behind place 1"),
        (lambda places: np.maximum(early(places), (early(places) < 0.3) * 0.5), "the worst ranking has a better value"),
        (lambda places: -first(places), "the best ranking has a worse value than another one"),
        (traits(better="lower")(lambda places: first(places)), "the best ranking has a worse value than another one"),
        (lambda places: places.nothing, r"AttributeError: .* \(.*test_other_kits.py:\d+\)"),
        (lambda places: print(1) or first(places), "<lambda> prints: '1"),
    ],
)
def test_broken_metrics_fail(metric: Any, message: str) -> None:
    with pytest.raises(CheckFailed, match=message):
        check_metric(metric)
    check_metric(first)


class Twice(Generic):
    """Makes other data each time."""

    def write_miniature(self, data: Path, seed: int = 0) -> Any:
        return super().write_miniature(data, next(COUNTER))


class Replaces(Generic):
    def write_miniature(self, data: Path, seed: int = 0) -> Any:
        shutil.rmtree(data, ignore_errors=True)
        return super().write_miniature(data, seed)


class Broken(Generic):
    """Reads its own miniature."""

    def write_miniature(self, data: Path, seed: int = 0) -> Any:
        return type(self)(**super().write_miniature(data, seed).get_params())


class Uncited(Broken):
    @property
    def card(self) -> Any:
        return replace(super().card, citation="")


class OtherNames(Broken):
    @property
    def card(self) -> Any:
        return replace(super().card, metrics=("R@1",))


class LoadsNothing(Broken):
    def load(self, data: Any) -> Any:
        if not any(Path(data).iterdir()):
            self.write_miniature(Path(data) / "made")
            return super().load(Path(data) / "made")
        return super().load(data)


class NamesNoFile(Broken):
    def load(self, data: Any) -> Any:
        if not any(Path(data).iterdir()):
            raise InputError("there is nothing")
        return super().load(data)


class OnePartTwice(Broken):
    def read(self, data: Path) -> Any:
        made = super().read(data)
        return replace(made, parts=made.parts * 2)


class OtherShape(Broken):
    def read(self, data: Path) -> Any:
        made = super().read(data)
        return replace(made, parts=(replace(made.parts[0], relevance=made.parts[0].relevance.reversed()),))


class WrongIsRight(Broken):
    def read(self, data: Path) -> Any:
        made = super().read(data)
        return replace(made, parts=(replace(made.parts[0], wrong=True),))


class Raises(Broken):
    def read(self, data: Path) -> Any:
        raise KeyError("images")


class Upside(Broken):
    def summary(self, results: Any, parts: Any) -> dict[str, float]:
        return {"other": 1.0}


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (Twice, "must be the same for the same seed"),
        (Replaces, "must not replace files that are there"),
        (Uncited, "the card of task 'generic' must say citation"),
        (OtherNames, "metric 'R@1' of the card is called 'success@1'"),
        (LoadsNothing, "a task must not load from an empty folder"),
        (NamesNoFile, r"the error for absent files must name relevance.npz, .*groups.txt \(got there is nothing\)"),
        (OnePartTwice, r"parts must have names of their own \(got forward, forward\)"),
        (OtherShape, r"part 'forward'.*\(9, 6\)"),
        (WrongIsRight, "part 'forward': perfect scores have"),
        (Raises, r"the miniature of task 'generic': KeyError: 'images' \(.*test_other_kits.py:\d+\)"),
        (Upside, "the summary must have finite figures"),
    ],
)
def test_broken_tasks_fail(made: Any, message: str) -> None:
    with pytest.raises(CheckFailed, match=message):
        check_task(made)
    check_task(partial(task, "generic"))


@pytest.mark.parametrize("name", [name for name, form in formats().items() if form.holds])
def test_every_format_passes(name: str) -> None:
    check_format(formats()[name])


class Raw(Format):
    name, suffixes, holds, description = "raw", (".f32",), (np.ndarray,), "a matrix of three columns"

    def read(self, path: Path) -> Any:
        return np.fromfile(path, np.float32).reshape(-1, 3)

    def write(self, path: Path, content: Any) -> None:
        np.asarray(content, np.float32).tofile(path)


class Turns(Raw):
    def read(self, path: Path) -> Any:
        return super().read(path)[::-1]


class Flattens(Raw):
    def read(self, path: Path) -> Any:
        return np.fromfile(path, np.float32)


class CannotReadItsOwn(Raw):
    def read(self, path: Path) -> Any:
        raise FormatError("no such version")


class Lines(Format):
    """Blanks part the columns, and names may have some."""

    name, suffixes, holds, description = "lines", (".lines",), (Triples,), "query item score"

    def write(self, path: Path, content: Any) -> None:
        rows = zip(content.queries, content.items, content.values.tolist(), strict=True)
        path.write_text("\n".join(f"{query} {item} {score}" for query, item, score in rows), encoding="utf-8")

    def read(self, path: Path) -> Any:
        rows = [line.rsplit(" ", 2) for line in path.read_text(encoding="utf-8").splitlines()]
        queries, items, scores = zip(*rows, strict=True)
        return Triples(list(queries), list(items), np.array(scores, np.float64), "scores")


class Blanks(Lines):
    def read(self, path: Path) -> Any:
        rows = [line.split(" ")[:3] for line in path.read_text(encoding="utf-8").splitlines()]
        queries, items, scores = zip(*rows, strict=True)
        return Triples(list(queries), list(items), np.array(scores, np.float64), "scores")


class WholeScores(Lines):
    def write(self, path: Path, content: Any) -> None:
        whole = Triples(content.queries, content.items, np.rint(content.values), "scores")
        super().write(path, whole)


class KnownNames(Format):
    name, suffixes, holds, description = "known", (".npz",), (Tables,), "scores and ids"

    def write(self, path: Path, content: Any) -> None:
        NpzFormat().write(path, Tables({name: content[name] for name in ("scores", "query_ids", "gallery_ids")}))

    def read(self, path: Path) -> Any:
        return NpzFormat().read(path)


class Counts(Raw):
    def write(self, path: Path, content: Any) -> None:
        path.write_bytes(bytes(content) + bytes([next(COUNTER) % 256]))

    def read(self, path: Path) -> Any:
        return np.frombuffer(path.read_bytes()[:-1], np.float32).reshape(4, 3)


class Fails(Raw):
    def write(self, path: Path, content: Any) -> None:
        raise OSError("no room")


class Nameless(Raw):
    description = ""


class NoPoint(Raw):
    suffixes = ("f32",)


class HoldsTexts(Raw):
    holds = (str,)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (Turns(), "what is read is not what was written"),
        (Flattens(), "what is read is not what was written"),
        (CannotReadItsOwn(), r"FormatError: no such version \(.*test_other_kits.py:\d+\)"),
        (Blanks(), "ValueError: could not convert string to float"),
        (WholeScores(), "what is read is not what was written"),
        (KnownNames(), "what is read is not what was written"),
        (Counts(), "the same content must give the same bytes"),
        (Fails(), r"OSError: no room \(.*test_other_kits.py:\d+\)"),
        (Nameless(), "must have a name and a description"),
        (NoPoint(), r"must have endings that begin with a point \(got \('f32',\)\)"),
        (HoldsTexts(), "must hold some of np.ndarray, Tables and Triples"),
    ],
)
def test_broken_formats_fail(form: Format, message: str) -> None:
    with pytest.raises(CheckFailed, match=message):
        check_format(form)
    for good in (Raw(), Lines()):
        check_format(good)
