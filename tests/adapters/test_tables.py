"""Tables and columns of polars, Arrow, datasets and xarray, read alike."""

from __future__ import annotations

import numpy as np
import pytest

import rerankit
from rerankit import ListScores, Problem
from rerankit.errors import InputError

COLUMNS = {"qid": ["q1", "q1", "q2"], "docno": ["b", "a", "c"], "score": [0.4, 0.9, 0.8]}
RUN = {"q1": {"a": 0.9, "b": 0.4}, "q2": {"c": 0.8}}
VECTORS = np.float32([[1, 0], [0, 1], [3, 4]])


def polars(columns):
    return pytest.importorskip("polars").DataFrame(columns)


def lazy(columns):
    return polars(columns).lazy()


def arrow(columns):
    return pytest.importorskip("pyarrow").table(columns)


def batch(columns):
    return pytest.importorskip("pyarrow").record_batch(columns)


def reader(columns):
    return arrow(columns).to_reader()


def datasets(columns):
    return pytest.importorskip("datasets").Dataset.from_dict(columns)


class Capsules:
    """A table of a library that nobody has heard of."""

    def __init__(self, table):
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)

    def __arrow_c_schema__(self):
        return self._table.schema.__arrow_c_schema__()


def capsules(columns):
    return Capsules(arrow(columns))


LIBRARIES = [polars, lazy, arrow, batch, reader, datasets, capsules]


@pytest.mark.parametrize("made", LIBRARIES)
def test_lines_are_a_run(made):
    problem = Problem(made(COLUMNS))
    assert isinstance(problem.scores, ListScores)
    assert problem.ranking().to_dict() == RUN
    figures = rerankit.evaluate(
        made(COLUMNS), made({"query_id": ["q1", "q2"], "doc_id": ["a", "z"], "relevance": [1, 1]}), ["success@1"]
    )
    assert figures["success@1"] == 0.5


@pytest.mark.parametrize("made", LIBRARIES)
def test_a_first_column_of_texts_names_the_rows_of_a_matrix(made):
    table = {"name": ["cat", "dog"], "x": [0.5, 1.5], "y": [0.25, 2.5], "z": [1, 2]}
    problem = Problem(made(table))
    assert (problem.query_ids.tolist(), problem.gallery_ids.tolist()) == (["cat", "dog"], ["x", "y", "z"])
    assert problem.scores.rows().tolist() == [[0.5, 0.25, 1], [1.5, 2.5, 2]]


@pytest.mark.parametrize("made", LIBRARIES)
def test_what_may_be_either_is_refused(made):
    with pytest.raises(InputError, match="may be lines of query, item and score, or a matrix"):
        Problem(made({"user": [1, 1, 2], "film": [1, 2, 3], "stars": [0.5, 0.6, 0.7]}))
    with pytest.raises(InputError, match="'queries' must be a table of numbers"):
        Problem.from_embeddings(made(COLUMNS), VECTORS)


def test_a_polars_frame_that_only_counts_has_no_ids():
    problem = Problem(pytest.importorskip("polars").DataFrame(np.eye(5)))
    assert (problem.query_ids, problem.gallery_ids) == (None, None)


def vectors(column):
    return Problem.from_embeddings(column, VECTORS, "dot").scores.rows()


def test_columns_of_vectors():
    pa, expected = pytest.importorskip("pyarrow"), VECTORS @ VECTORS.T
    fixed = pa.FixedSizeListArray.from_arrays(pa.array(VECTORS.ravel()), 2)
    listed = pa.array(VECTORS.tolist())
    pieces = pa.chunked_array([fixed.slice(0, 1), fixed.slice(1)])
    table = pa.table({"vector": fixed})
    for column in (
        fixed,
        fixed.slice(0, 3),
        listed,
        pieces,
        table["vector"],
        pa.array(VECTORS.tolist(), pa.large_list(pa.float16())),
    ):
        np.testing.assert_array_equal(vectors(column), expected)
    np.testing.assert_array_equal(vectors(fixed.slice(1)), expected[1:])
    # No copy is made of a column of one piece.
    assert np.shares_memory(Problem.from_embeddings(fixed, VECTORS).scores.queries, np.asarray(fixed.flatten()))


def test_columns_of_vectors_of_polars():
    pl, expected = pytest.importorskip("polars"), VECTORS @ VECTORS.T
    series = pl.Series(VECTORS.tolist())
    for column in (series, series.cast(pl.Array(pl.Float32, 2))):
        np.testing.assert_array_equal(vectors(column), expected)


def test_columns_of_vectors_of_datasets():
    dataset = datasets({"vector": VECTORS.tolist(), "name": ["a", "b", "c"]})
    for column in (dataset["vector"], dataset.with_format("numpy")["vector"][:], dataset.select([0, 1, 2])["vector"]):
        np.testing.assert_array_equal(vectors(column), VECTORS @ VECTORS.T)


def test_columns_with_gaps_are_refused():
    pa = pytest.importorskip("pyarrow")
    for column, words in (
        (pa.array([[1.0, 2.0], None]), "must have a value in every row"),
        (pa.array([[1.0, None], [3.0, 4.0]]), "must have vectors without empty cells"),
        (pa.array([[1.0, 2.0, 3.0], [3.0]]), r"must have vectors of one length \(got 1 to 3 numbers\)"),
    ):
        with pytest.raises(InputError, match=words):
            vectors(column)


def test_coordinates_of_xarray_are_ids():
    xarray = pytest.importorskip("xarray")
    array = xarray.DataArray([[0.1, 0.9], [0.8, 0.3]], dims=("query", "item"), coords={"query": ["cat", "dog"]})
    problem = Problem(array)
    assert (problem.query_ids.tolist(), problem.gallery_ids) == (["cat", "dog"], None)
    assert problem.scores.rows().tolist() == np.float32([[0.1, 0.9], [0.8, 0.3]]).tolist()
    with pytest.raises(InputError, match="must have two dimensions"):
        Problem(array[0])
    with pytest.raises(InputError, match=r"must have queries first \(got \('item', 'query'\)\): give array.T"):
        Problem(array.T)


def pandas(columns):
    return pytest.importorskip("pandas").DataFrame(columns)


@pytest.mark.parametrize("library", [polars, arrow, datasets, pandas], ids=lambda library: library.__name__)
def test_whole_numbers_beside_real_ones_may_name_the_rows(library):
    """A table that was written with its index and read again has such a first column."""
    table = {"id": [10, 20], "x": [0.1, 0.5], "y": [0.2, 0.3]}
    with pytest.raises(InputError, match=r"'scores' must say what column 'id' is, .*\(got whole .* \[10, 20\]\)"):
        Problem(library(table))
    with pytest.raises(InputError, match="'queries' must say what column 'id' is"):
        Problem.from_embeddings(library(table), np.eye(3))
    assert Problem(library({**table, "id": [10.0, 20.0]})).shape == (2, 3)
    assert Problem(library({**table, "id": [10, 10]})).shape == (2, 3)  # names nothing
    assert Problem(library({**table, "id": ["10", "20"]})).query_ids.tolist() == ["10", "20"]
