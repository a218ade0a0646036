from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rerankit import Problem
from rerankit.display import Face, Faces, check_pattern, with_pictures, with_query_pictures
from rerankit.errors import InputError
from rerankit.features import Feature


def problem(**features: object) -> Problem:
    return Problem(np.eye(2, 3), query_ids=["a", "b"], gallery_ids=["x", "y", "z"], query_features=features)


def test_a_face_has_a_name_a_text_and_a_picture() -> None:
    given = problem(reference=["one", "two"], captions=[["red", "round"], ["blue"]], path=["1.png", "2.png"])
    faces = Faces(given, "query")
    assert faces[0] == Face("a", "red · round")
    assert not faces.pictured
    assert Faces(given, "gallery")[2] == Face("z")
    assert Faces(Problem(np.eye(2)), "query")[1] == Face("1")


@pytest.mark.parametrize(
    "values",
    [["p/1.PNG", "p/2.png"], [Path("1.jpg"), Path("2.jpg")], np.zeros((2, 4, 4, 3), np.uint8)],
)
def test_pictures_are_known_by_what_they_are(values: object) -> None:
    faces = Faces(problem(anything=values), "query")
    assert faces.pictured
    assert faces[1].picture is not None
    assert faces[1].text == ""


def test_other_arrays_are_no_pictures() -> None:
    assert not Faces(problem(tokens=np.zeros((2, 4, 3), np.float32)), "query").pictured


def test_values_that_read_files_are_not_asked() -> None:
    class Lazy(Feature):
        kind = "lazy"

        def __len__(self) -> int:
            return 2

        def take(self, rows: object) -> Lazy:
            return self

        def __getitem__(self, row: object) -> object:
            raise AssertionError("was asked")

    assert Faces(problem(regions=Lazy()), "query")[0] == Face("a")


def test_pictures_by_a_pattern() -> None:
    given = with_pictures(problem(reference=["r1", "r2"]), "img/{id}.png")
    assert Faces(given, "query")[1].picture == Path("img/r2.png")
    assert Faces(given, "gallery")[0].picture == Path("img/x.png")
    assert Faces(with_query_pictures(problem(), "q/{id}.jpg"), "query")[0].picture == Path("q/a.jpg")
    with pytest.raises(InputError, match="this problem has no paths of pictures"):
        with_pictures(given, "img/{path}")
    with pytest.raises(
        InputError, match=r"'images' must be a pattern that fits ids such as 'r1' \(.*\) \(got 'img/\{id:04d\}"
    ):
        with_pictures(given, "img/{id:04d}.png")
    with pytest.raises(InputError, match="'problem' must have query_ids"):
        with_query_pictures(Problem(np.eye(2)), "q/{id}.jpg")
    with pytest.raises(InputError, match=r"'images' must be a path with \{id\}"):
        check_pattern("images", "img/pictures.png")
