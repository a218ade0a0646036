from __future__ import annotations

import gzip
import json
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rerankit
from rerankit import Bank, ListScores, Problem, Ranking, Relevance, errors
from rerankit.errors import FormatError, InputError, UnknownNameError
from rerankit.formats import read, read_judged, write
from rerankit.formats.files import read_both
from rerankit.formats.judged import read_relevance
from rerankit.formats.registry import formats

BUNDLES = ["folder", "a.npz", "a.safetensors", "a.pt"]
LISTS = ["a.run", "a.run.gz", "a.txt", "a.csv", "a.csv.gz", "a.tsv", "a.json", "a.json.gz", "a.parquet"]
JUDGED = ["a.qrels", "a.qrels.gz", "a.txt", "a.csv", "a.tsv", "a.qrels.json", "a.parquet"]


def a_problem() -> Problem:
    return Problem(
        np.float32([[0.25, 0.5, 0.75], [1, 2, 3]]),
        query_scores=np.eye(2, dtype=np.float32),
        gallery_scores=np.eye(3, dtype=np.float32),
        query_ids=["cat", "dog"],
        gallery_ids=[7, 8, 9],
        query_features={"words": ["a b", "c"]},
        gallery_features={"text": np.arange(6).reshape(3, 2)},
        query_bank=Bank(to_gallery=np.float32([[1, 2, 3]]), to_queries=np.float32([[4, 5]]), to_bank=np.float32([[1]])),
    )


def a_ranking() -> Ranking:
    scores = np.float32([[0.1, 0.1, -3.5], [1e-8, -np.inf, -np.inf]])
    return Ranking([[0, 2, 1], [1, -1, -1]], scores, gallery_size=4, query_ids=["q2", "q1"], gallery_ids=list("abcd"))


def a_relevance() -> Relevance:
    return Relevance.from_lists([[0, 2], [1]], 3, grades=[[1, 2], [1]], exclude=[[1], []])


def same_problem(one: Problem, other: Problem) -> None:
    assert repr(one) == repr(other)
    for name in ("scores", "query_scores", "gallery_scores"):
        left, right = getattr(one, name), getattr(other, name)
        assert (left is None) == (right is None)
        if left is not None:
            np.testing.assert_array_equal(left.rows(), right.rows())
    for name in ("query_ids", "gallery_ids"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for side in ("query_features", "gallery_features"):
        mine, theirs = getattr(one, side), getattr(other, side)
        assert {name: type(feature) for name, feature in mine.items()} == {n: type(f) for n, f in theirs.items()}
        for name, feature in mine.items():
            assert b"".join(feature.pieces()) == b"".join(theirs[name].pieces())
    assert one.extra_scores.keys() == other.extra_scores.keys()
    for name in ("query_bank", "gallery_bank"):
        assert repr(getattr(one, name)) == repr(getattr(other, name))


@pytest.mark.parametrize("name", BUNDLES)
def test_a_problem_comes_back(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, a_problem(), relevance=a_relevance())
    if name == "folder":
        (tmp_path / name / "README.txt").write_text("notes may lie beside the arrays")
    same_problem(a_problem(), read(tmp_path / name))
    assert read(tmp_path / name, "relevance") == a_relevance()


@pytest.mark.parametrize("name", BUNDLES)
@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
def test_embeddings_stay_embeddings(tmp_path: Path, name: str, metric: Any) -> None:
    vectors = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float16)
    problem = Problem.from_embeddings(vectors[:3], vectors[3:], metric, query_bank=vectors[:2])
    write(tmp_path / name, problem)
    back = read(tmp_path / name, "problem")
    assert back.scores.metric == metric
    same_problem(problem, back)


@pytest.mark.parametrize("name", BUNDLES)
def test_list_scores_stay_lists(tmp_path: Path, name: str) -> None:
    problem = Problem.from_rankings([[2, 0], [1, -1]], [[0.9, 0.5], [0.7, -np.inf]], gallery_size=5)
    write(tmp_path / name, problem)
    back = read(tmp_path / name)
    assert isinstance(back.scores, ListScores)
    np.testing.assert_array_equal(back.scores.rows(), problem.scores.rows())


@pytest.mark.parametrize("name", BUNDLES)
def test_a_ranking_comes_back_from_bundles(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, a_ranking())
    assert read(tmp_path / name) == a_ranking()
    assert read(tmp_path / name, "ranking") == a_ranking()


@pytest.mark.parametrize("name", LISTS)
def test_a_ranking_comes_back_from_lists(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, a_ranking())
    assert read(tmp_path / name, "ranking", query_ids=["q2", "q1"], gallery_ids=list("abcd")) == a_ranking()
    without_ids = read(tmp_path / name)
    assert without_ids.to_dict() == a_ranking().to_dict()


@pytest.mark.parametrize("name", JUDGED)
def test_judgements_come_back(tmp_path: Path, name: str) -> None:
    relevance = Relevance.from_lists([[0, 2], [1]], 3, grades=[[1, 2], [0.5]])
    write(tmp_path / name, relevance, query_ids=["x", "y"], gallery_ids=[10, 11, 12])
    assert read(tmp_path / name) == {"x": {"10": 1, "12": 2}, "y": {"11": 0.5}}
    assert read(tmp_path / name, "relevance", query_ids=["x", "y"], gallery_ids=[10, 11, 12]) == relevance


@pytest.mark.parametrize("name", ["a.npy", "a.csv", "a.csv.gz", "a.tsv", "a.pt"])
def test_an_array_comes_back(tmp_path: Path, name: str) -> None:
    matrix = np.float32([[0.1, -2], [1e-30, 4]])
    write(tmp_path / name, matrix)
    np.testing.assert_array_equal(np.float32(read(tmp_path / name)), matrix)
    assert read(tmp_path / name, "problem").shape == (2, 2)


def test_large_arrays_stay_on_disk(tmp_path: Path) -> None:
    matrix = np.arange(12, dtype=np.float32).reshape(3, 4)
    for name in ("a.npy", "a.npz", "a.safetensors", "folder"):
        write(tmp_path / name, matrix if name == "a.npy" else {"scores": matrix})
        array = read(tmp_path / name, "array")
        assert isinstance(array, np.memmap), name
        assert not array.flags.writeable
        np.testing.assert_array_equal(array, matrix)


def test_fortran_order_and_big_endian_arrays(tmp_path: Path) -> None:
    matrix = np.asfortranarray(np.arange(6.0).reshape(2, 3).astype(">f8"))
    np.save(tmp_path / "a.npy", matrix)
    np.testing.assert_array_equal(read(tmp_path / "a.npy"), matrix)
    write(tmp_path / "a.safetensors", {"scores": matrix})
    np.testing.assert_array_equal(read(tmp_path / "a.safetensors", "array"), matrix)


def test_numpy_reads_our_npz_and_we_read_its(tmp_path: Path) -> None:
    matrix = np.arange(6.0).reshape(2, 3)
    write(tmp_path / "ours.npz", {"scores": matrix})
    np.testing.assert_array_equal(np.load(tmp_path / "ours.npz")["scores"], matrix)
    for save, name in ((np.savez, "plain.npz"), (np.savez_compressed, "packed.npz")):
        save(tmp_path / name, scores=matrix, query_ids=np.array(["a", "b"]))
        problem = read(tmp_path / name)
        np.testing.assert_array_equal(problem.scores.rows(), matrix)
        assert problem.query_ids.tolist() == ["a", "b"]


def test_the_safetensors_package_agrees(tmp_path: Path) -> None:
    package = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")
    arrays = {
        dtype: np.arange(6).reshape(2, 3).astype(dtype) for dtype in ("f8", "f4", "f2", "i8", "i4", "i2", "u1", "?")
    }
    arrays["empty"] = np.empty((0, 3), np.float32)
    write(tmp_path / "ours.safetensors", {**arrays, "metric": np.array("dot")})
    theirs = package.load_file(tmp_path / "ours.safetensors")
    package.save_file(arrays, tmp_path / "theirs.safetensors")
    ours = read(tmp_path / "theirs.safetensors")
    assert set(ours) == set(theirs) == set(arrays)
    for name, array in arrays.items():
        assert ours[name].dtype == theirs[name].dtype == array.dtype
        np.testing.assert_array_equal(ours[name], array)
        np.testing.assert_array_equal(theirs[name], array)


def test_bfloat16_is_read_as_float32(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from safetensors.torch import save_file

    tensor = torch.tensor([[1.5, -2.25]], dtype=torch.bfloat16)
    save_file({"scores": tensor}, tmp_path / "a.safetensors")
    torch.save(tensor, tmp_path / "a.pt")
    for name in ("a.safetensors", "a.pt"):
        array = read(tmp_path / name, "array")
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, [[1.5, -2.25]])


@pytest.mark.parametrize("name", ["a.csv", "a.tsv.gz"])
def test_ids_that_csv_would_change_are_refused(name: str, tmp_path: Path) -> None:
    for names in (["x ", "y"], ["x", "\ty"]):
        ranking = Ranking([[0, 1]], [[2.0, 1.0]], gallery_ids=names)
        with pytest.raises(FormatError, match="must not begin or end with blanks"):
            write(tmp_path / name, ranking)
    inside = Ranking([[0, 1]], [[2.0, 1.0]], gallery_ids=["x, 1", 'two\n"lines"'])
    assert read(write(tmp_path / name, inside)).to_dict() == {"0": inside.to_dict()[0]}


def test_a_matrix_with_ids_in_csv(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(",x,y\nq1,0.5,1\nq2,2,3\n")
    problem = read(tmp_path / "a.csv")
    assert (problem.query_ids.tolist(), problem.gallery_ids.tolist()) == (["q1", "q2"], ["x", "y"])
    np.testing.assert_array_equal(problem.scores.rows(), [[0.5, 1], [2, 3]])


def test_distances_must_be_said_and_can_be(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", distances=[[0.5, 0.25]], gallery_distances=[[0, 0.5], [0.5, 0]])
    problem = read(tmp_path / "a.npz")
    np.testing.assert_array_equal(problem.scores.rows(), [[-0.5, -0.25]])
    np.testing.assert_array_equal(problem.gallery_scores.rows(), [[0, -0.5], [-0.5, 0]])


def test_labels_and_grade_matrices_are_relevance(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", scores=np.eye(2), query_labels=["a", "b"], gallery_labels=["b", "a"])
    assert read(tmp_path / "a.npz", "relevance") == Relevance.from_lists([[1], [0]], 2)
    np.save(tmp_path / "a.npy", np.array([[0, 1], [1, 0]]))
    assert read(tmp_path / "a.npy", "relevance") == Relevance.from_lists([[1], [0]], 2)


def test_arrays_of_another_kind_come_as_they_are(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", image=np.eye(2), text=np.eye(2))
    assert set(read(tmp_path / "a.npz")) == {"image", "text"}
    with pytest.raises(
        FormatError, match=r"a\.npz: unknown array 'image';.* a file of arrays has 'scores' \(queries, gallery; higher"
    ):
        read(tmp_path / "a.npz", "problem")
    np.savez(tmp_path / "b.npz", sims=np.eye(2))
    with pytest.raises(
        FormatError, match=r"unknown array 'sims';.*; the only array of a file is taken by read\(path, 'ar"
    ):
        read(tmp_path / "b.npz", "problem")
    assert read(tmp_path / "b.npz", "array").tolist() == [[1, 0], [0, 1]]


def test_a_run_is_a_problem_of_lists(tmp_path: Path) -> None:
    write(tmp_path / "a.run", a_ranking())
    problem = read(tmp_path / "a.run", "problem")
    assert not problem.scores.complete
    assert problem.ranking(2).to_dict() == a_ranking().top(2).to_dict()


def test_run_and_judgements_are_aligned_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.run").write_text("q1 Q0 d2 1 0.9 x\nq1 Q0 d1 2 0.5 x\nq2 Q0 d1 1 0.1 x\n")
    (tmp_path / "a.qrels").write_text("q1 0 d1 1\nq3 0 d9 2\nq2 0 d1 -1\n")
    ranking, relevance = read_judged(tmp_path / "a.run", tmp_path / "a.qrels")
    assert ranking.query_ids.tolist() == ["q1", "q2", "q3"]
    assert ranking.gallery_ids.tolist() == ["d1", "d2", "d9"]
    assert ranking.indices.tolist() == [[1, 0], [0, -1], [-1, -1]]
    assert relevance == Relevance.from_lists([[0], [], [2]], 3, grades=[[1], [], [2]])


def test_run_and_relevance_by_number_must_fit(tmp_path: Path) -> None:
    write(tmp_path / "a.npz", a_ranking())
    write(tmp_path / "b.npz", Relevance.from_lists([[0], [1]], 4))
    write(tmp_path / "c.npz", Relevance.from_lists([[0], [1]], 5))
    assert read_judged(tmp_path / "a.npz", tmp_path / "b.npz")[1].shape == (2, 4)
    with pytest.raises(FormatError, match=r"c\.npz: relevance of 2 queries × 5 items does not fit"):
        read_judged(tmp_path / "a.npz", tmp_path / "c.npz")


def test_natural_order_keeps_ties_of_whole_number_ids(tmp_path: Path) -> None:
    tied = Ranking([[2, 10, 11]], [[1, 1, 1]], gallery_size=12)
    write(tmp_path / "a.run", tied)
    back = read(tmp_path / "a.run")
    assert back.gallery_ids[back.indices[0]].tolist() == ["2", "10", "11"]


# ---- what is wrong with a file is said in one line, with the path and the rule


def damaged(path: Path, what: str) -> Path:
    """A file with one fault."""
    matrix = np.arange(600, dtype=np.float32).reshape(20, 30)
    made = {
        "objects.npy": lambda: np.save(path, np.array([[None]]), allow_pickle=True),
        "objects.npz": lambda: np.savez(path, scores=np.array([[None]]), allow_pickle=True),
        "packed-objects.npz": lambda: np.savez_compressed(path, scores=np.array([[None]]), allow_pickle=True),
        "pickle.npy": lambda: path.write_bytes(pickle.dumps([1, 2])),
        "complex.npy": lambda: np.save(path, matrix.astype(complex)),
        "cut.npy": lambda: (np.save(path, matrix), path.write_bytes(path.read_bytes()[:-9])),
        "cut-header.npy": lambda: (np.save(path, matrix), path.write_bytes(path.read_bytes()[:40])),
        "empty.npy": lambda: path.write_bytes(b""),
        "cut.npz": lambda: (np.savez(path, scores=matrix), path.write_bytes(path.read_bytes()[:-30])),
        "text.npz": lambda: path.write_text("hello"),
        "cut.safetensors": lambda: (write(path, {"scores": matrix}), path.write_bytes(path.read_bytes()[:-9])),
        "text.safetensors": lambda: path.write_text("hello, this is not one of them"),
        "short.safetensors": lambda: path.write_bytes(b"abc"),
        "shape.safetensors": lambda: path.write_bytes(
            _safetensors({"scores": {"dtype": "F32", "shape": [9, 9], "data_offsets": [0, 4]}}, b"1234")
        ),
        "dtype.safetensors": lambda: path.write_bytes(
            _safetensors({"scores": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}}, b"1234")
        ),
        "list.safetensors": lambda: path.write_bytes(_safetensors([1, 2], b"")),
        "words.csv": lambda: path.write_text("1,2\n3,four\n"),
        "ragged.csv": lambda: path.write_text("1,2\n3\n"),
        "blank.csv": lambda: path.write_text("1,2\n\n\n3,four\n"),
        "blank-ragged.csv": lambda: path.write_text("\n1,2\n\n3\n"),
        "blank-run.csv": lambda: path.write_text("query,item,score\n\nq,d,high\n"),
        "quoted.csv": lambda: path.write_text('query,item,score\n"q\n1",d,1\n\nq,d,high\n'),
        "empty.csv": lambda: path.write_text(""),
        "header.csv": lambda: path.write_text("query,item,points\na,b,1\n"),
        "columns.run": lambda: path.write_text("q Q0 d 1 0.5 x\nq Q0 d 1 0.5\n"),
        "score.run": lambda: path.write_text("q Q0 d 1 0.5 x\nq Q0 e 2 high x\n"),
        "nan.run": lambda: path.write_text("q Q0 d 1 0.5 x\nq Q0 e 2 nan x\n"),
        "twice.run": lambda: path.write_text("".join(f"q Q0 d{n % 4} 1 0.{n} x\n" for n in range(8))),
        "twice.qrels": lambda: path.write_text("q 0 d 1\nq 0 d 0\nr 0 d 0\nr 0 d 0\n"),
        "empty.qrels": lambda: path.write_text("\n"),
        "latin.run": lambda: path.write_bytes("q Q0 \xe9 1 0.5 x\n".encode("latin-1")),
        "characters.npz": lambda: np.savez(path, kind="problem", scores=np.eye(2), query_ids=_no_characters()),
        "cut.run.gz": lambda: path.write_bytes(gzip.compress(b"q Q0 d 1 0.5 x\n" * 99)[:-12]),
        "text.run.gz": lambda: path.write_text("q Q0 d 1 0.5 x\n"),
        "cut.json": lambda: path.write_text('{"q": {"d": 0.5'),
        "flat.json": lambda: path.write_text('{"q": 1}'),
        "list.json": lambda: path.write_text("[1]"),
        "words.json": lambda: path.write_text('{"q": {"d": "high"}}'),
        "nan.json": lambda: path.write_text('{"q": {"d": NaN}}'),
        "twice.json": lambda: path.write_text('{"q": {"d": 1, "d": 2}, "r": {"e": 1, "e": 2, "d": 1}}'),
        "query-twice.json": lambda: path.write_text('{"q": {"d": 1}, "r": {"d": 1}, "q": {"d": 1}}'),
        "text.parquet": lambda: path.write_text("hello"),
    }
    made[what]()
    return path


def _no_characters() -> np.ndarray:
    return np.array([0xFFFFFFFF, 97], np.uint32).view("<U1")


def _safetensors(header: Any, data: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("objects.npy", "object arrays are pickles"),
        ("objects.npz", "object arrays are pickles"),
        ("packed-objects.npz", "object arrays are pickles"),
        ("characters.npz", "'query_ids' must hold texts .got the character number 0xffffffff."),
        ("pickle.npy", "this is a pickle"),
        ("complex.npy", "must be real numbers"),
        ("cut.npy", r"truncated: \(20, 30\) float32 takes 2400 bytes, 2391 remain"),
        ("cut-header.npy", "damaged or not an npy file"),
        ("empty.npy", "truncated or not an npy file"),
        ("cut.npz", "truncated or not a zip file"),
        ("text.npz", "truncated or not a zip file"),
        ("cut.safetensors", "'scores' is truncated"),
        ("text.safetensors", "truncated or not a safetensors file"),
        ("short.safetensors", "truncated or not a safetensors file"),
        ("shape.safetensors", r"'scores' is damaged: \(9, 9\) F32 takes 324 bytes, not 4"),
        ("dtype.safetensors", "dtype F8_E4M3; known: BF16, BOOL, F16"),
        ("list.safetensors", "header must be a JSON object"),
        ("words.csv", "line 2: could not convert string to float: 'four'"),
        ("ragged.csv", r"line 2 must have 2 columns \(got 1\)"),
        ("empty.csv", "the file is empty"),
        ("blank.csv", "line 4: could not convert string to float: 'four'"),
        ("blank-ragged.csv", r"line 4 must have 2 columns \(got 1\)"),
        ("blank-run.csv", "line 3: 'high' is not a number"),
        ("quoted.csv", "line 5: 'high' is not a number"),
        ("header.csv", "must have a column score, rank or grade"),
        ("columns.run", r"line 2 must have 6 columns, 'query Q0 item rank score tag' \(got 5\)"),
        ("score.run", "line 2: 'high' is not a number"),
        ("nan.run", "line 2: 'nan' must be finite"),
        (
            "twice.run",
            r"list an item once \(got 4 repeated \(query, item\), such as "
            r"\[\('q', 'd0'\), \('q', 'd1'\), \('q', 'd2'\)\]\)",
        ),
        ("twice.qrels", r"judge an item once \(got 2 repeated \(query, item\), such as \[\('q', 'd'\), \('r', 'd'\)\]"),
        ("empty.qrels", "the file is empty"),
        ("latin.run", "must be UTF-8 text"),
        ("cut.run.gz", "truncated or not a gzip file"),
        ("text.run.gz", "truncated or not a gzip file"),
        ("cut.json", "line 1: truncated or not JSON"),
        ("flat.json", "query 'q' must map items to numbers"),
        ("list.json", "must be an object"),
        ("words.json", "query 'q', item 'd' must be a number"),
        ("nan.json", r"every score must be finite \(got 1 that are not, such as \[\('q', 'd', nan\)\]"),
        ("twice.json", r"got 2 repeated \(query, item\), such as \[\('q', 'd'\), \('r', 'e'\)\]"),
        ("query-twice.json", r"must name a query once \(got 1 repeated, such as \['q'\]"),
        ("text.parquet", "damaged or not a parquet file"),
    ],
)
def test_damaged_files(tmp_path: Path, name: str, rule: str) -> None:
    path = damaged(tmp_path / name, name)
    with pytest.raises(FormatError, match=rule) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "rule"),
    [
        ({"scores": np.zeros((2, 3, 4))}, "'scores' must have two dimensions"),
        ({"scores": np.zeros((0, 3))}, "'scores' must not be empty"),
        ({"scores": np.ones((2, 2), bool)}, "'scores' must hold numbers, not booleans"),
        ({"scores": np.array([[np.nan, 1]])}, "'scores' must be finite"),
        ({"scores": np.eye(2), "query_scores": np.eye(3)}, "'query_scores' must have shape"),
        ({"scores": np.eye(2), "gallery_ids": np.array(["a"])}, "'gallery_ids' must have one id for each of the 2"),
        ({"scores": np.eye(2), "query_ids": np.array(["a", "a"])}, "'query_ids' must be unique"),
        ({"scores": np.eye(2), "distances": np.eye(2)}, "exactly one of scores, distances"),
        ({"queries": np.eye(2)}, "'queries' needs 'gallery'"),
        ({"queries": np.eye(2), "gallery": np.eye(3)}, "'gallery' must have the queries' width"),
        ({"queries": np.eye(2), "gallery": np.eye(2), "metric": np.array("cosin")}, "did you mean 'cosine'"),
        ({"scores": np.eye(2), "query_bank": np.eye(2)}, "'query_bank' as vectors needs"),
        ({"scores": np.eye(2), "gallery_score": np.eye(2)}, "did you mean 'gallery_scores'"),
        ({"indices": np.array([[0]]), "scores": np.array([[1.0]]), "kind": np.array("problem")}, "'gallery_size'"),
    ],
)
def test_problems_that_break_a_rule(tmp_path: Path, arrays: dict[str, Any], rule: str) -> None:
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    with pytest.raises(FormatError, match=rule) as caught:
        read(tmp_path / "a.npz", "problem")
    assert str(caught.value).startswith(str(tmp_path / "a.npz"))


def test_code_in_a_pt_file_is_refused_and_does_not_run(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")

    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"scores": Bomb()}, tmp_path / "bomb.pt")
    with pytest.raises(FormatError, match=r"it names '.*getattr', which is not data and never run"):
        read(tmp_path / "bomb.pt")
    assert not (tmp_path / "ran").exists()
    torch.save(torch.eye(3), tmp_path / "a.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "a.pt").read_bytes()[:-99])
    with pytest.raises(FormatError, match=r"cut\.pt: truncated or not a zip file: it has no directory at its end$"):
        read(tmp_path / "cut.pt")
    torch.save({"deep": {"er": torch.eye(2)}}, tmp_path / "deep.pt")
    with pytest.raises(FormatError, match="'deep' must be a tensor, a number, a text"):
        read(tmp_path / "deep.pt")


def test_unknown_endings_pickles_and_absent_files(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").touch()
    (tmp_path / "a.xyz").touch()
    with pytest.raises(FormatError, match="pickles can run code"):
        read(tmp_path / "a.pkl")
    with pytest.raises(FormatError, match=r"unknown ending '\.xyz'; known: \.csv"):
        read(tmp_path / "a.xyz")
    with pytest.raises(FormatError, match="no such file or folder"):
        read(tmp_path / "absent.npy")
    with pytest.raises(UnknownNameError, match="did you mean 'problem'"):
        read(tmp_path / "a.xyz", "problm")


def test_what_a_format_cannot_hold_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    faults: list[tuple[str, Any, str]] = [
        ("a.npy", a_ranking(), "npy holds one array, which this Ranking is not"),
        ("a.npy", a_problem(), "npy holds one matrix, and this problem has query_scores, gallery_scores, query_ids"),
        ("a.run", a_problem(), "trec-run holds a run or judgements"),
        ("a.run", np.eye(2), "trec-run holds a run or judgements"),
        ("a.run", Relevance.from_lists([[0]], 1), "this format holds a run"),
        ("a.qrels", a_relevance(), "cannot hold items to leave out"),
        ("a.npz", np.eye(2), "npz holds named arrays"),
        ("a.npz", {"scores": np.array([None])}, r"a\.npz: 'scores' must hold numbers or texts .*got dtype object"),
        ("a.npy", np.array([None]), r"a\.npy: 'value' must hold numbers or texts to be written \(got dtype object\)"),
        ("a.npy", Problem([[1.0]], query_ids=["q"]), "this problem has query_ids: write a folder"),
        (
            "a.run",
            Ranking([[0], [-1]], [[1], [-np.inf]]),
            r"without items \(got 1 without, such as \['1'\]\): write .json",
        ),
        ("a.run", {"a query": {"d": 1.0}}, "single words"),
        ("a.safetensors", {"scores": np.ones(2, np.longdouble)}, "safetensors cannot hold"),
        ("a.safetensors", {"__metadata__": np.ones(2)}, "by none that safetensors keeps"),
    ]
    for name, value, rule in faults:
        with pytest.raises(FormatError, match=rule) as caught:
            write(tmp_path / name, value)
        assert "\n" not in str(caught.value)
        assert ".rerankit-" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FormatError, match=r"file/a\.npz: cannot be written: (Not a directory|File exists)"):
        write(tmp_path / "file" / "a.npz", a_ranking())
    (tmp_path / "a.npy").mkdir()
    with pytest.raises(FormatError, match=r"a\.npy: the folder has no \.npy file"):
        read(tmp_path / "a.npy")
    with pytest.raises(FormatError, match="no such file or folder"):
        read_both(tmp_path / "absent.npz")


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    write(tmp_path / "a.run", a_ranking())
    before = (tmp_path / "a.run").read_bytes()
    with pytest.raises(FormatError):
        write(tmp_path / "a.run", {"q": {"ok": 1.0}, "two words": {"d": 1.0}}, overwrite=True)
    assert (tmp_path / "a.run").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.run"]


def test_a_folder_of_somebody_else_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    write(tmp_path / "data", a_ranking())  # an empty folder may be used
    write(tmp_path / "data", a_ranking(), overwrite=True)  # and one of ours replaced
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").touch()
    monkeypatch.chdir(tmp_path)
    for place in (tmp_path / "photos", "photos", ".", tmp_path):
        with pytest.raises(InputError, match=r"cat\.jpg', which rerankit did not write|in which this program runs"):
            write(place, a_ranking(), overwrite=True)
        with pytest.raises(InputError, match=r"cat\.jpg', which rerankit did not write|in which this program runs"):
            rerankit.stage("mutual-rank").save(place, overwrite=True)
    assert (tmp_path / "photos" / "cat.jpg").exists()


@pytest.mark.parametrize("name", ["a.npz", "a.run.gz", "a.safetensors", "a.json"])
def test_the_same_content_gives_the_same_bytes(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, a_ranking())
    first = (tmp_path / name).read_bytes()
    write(tmp_path / name, a_ranking(), overwrite=True)
    assert (tmp_path / name).read_bytes() == first


def test_every_format_says_what_it_is() -> None:
    for name, form in formats().items():
        assert form.name == name
        assert form.description
        assert form.holds


def test_read_and_write_are_public_names() -> None:
    assert rerankit.read is read
    assert rerankit.write is write


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"distances": np.ones((2, 2)), "query_scores": np.eye(2)}, "query_scores cannot go with 'distances'"),
        ({"scores": np.ones((2, 2)), "query_distances": np.eye(2)}, "query_distances cannot go with 'scores'"),
        ({"scores": np.ones((2, 2)), "metric": np.array("dot")}, "metric cannot go with 'scores'"),
        ({"queries": np.eye(2), "gallery": np.eye(2), "indices": np.eye(2)}, "indices cannot go with 'queries'"),
        ({"scores": np.ones((2, 2)), "kind": np.array("problm")}, "unknown kind 'problm'.*did you mean 'problem'"),
    ],
)
def test_arrays_that_contradict_each_other_are_refused(tmp_path: Path, arrays: Any, message: str) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(FormatError, match=message):
        read(tmp_path / "a.npz")


def test_ids_with_any_line_end_come_back_from_a_folder(tmp_path: Path) -> None:
    ids = ["a\rb", "c\x1cd"]
    write(tmp_path / "p", Problem([[1.0, 2.0]], gallery_ids=ids))
    assert read(tmp_path / "p").gallery_ids.tolist() == ids


def test_judgements_by_number_do_not_fit_a_run_of_names(tmp_path: Path) -> None:
    ranking = Problem([[0.9, 0.5, 0.1]], query_ids=["q"], gallery_ids=["z", "a", "m"]).ranking()
    relevance = Relevance.from_lists([[0]], 3)
    write(tmp_path / "rel.npz", relevance)
    write(tmp_path / "r.run", ranking)
    with pytest.raises(FormatError, match=r"has queries by number, 0 to 0, but .* \(got 1 .* such as \['q'\]\)"):
        read_judged(tmp_path / "r.run", tmp_path / "rel.npz")
    write(tmp_path / "0.run", Problem([[0.9, 0.5, 0.1]], query_ids=["0"], gallery_ids=["z", "a", "m"]).ranking())
    with pytest.raises(FormatError, match=r"has items by number, 0 to 2, .* such as \['a', 'm', 'z'\]\): give qrels"):
        read_judged(tmp_path / "0.run", tmp_path / "rel.npz")
    write(tmp_path / "r.npz", ranking)
    assert read_judged(tmp_path / "r.npz", tmp_path / "rel.npz")[0] == ranking


def test_lines_named_by_numbers_come_to_their_order(tmp_path: Path) -> None:
    write(tmp_path / "rel.npz", Relevance.from_lists([[4], [0], [2]], 5))
    (tmp_path / "r.run").write_text("2 Q0 2 1 0.9 x\n0 Q0 3 1 0.9 x\n0 Q0 4 2 0.8 x\n")
    ranking, relevance = read_judged(tmp_path / "r.run", tmp_path / "rel.npz")
    assert ranking.indices.tolist() == [[3, 4], [-1, -1], [2, -1]]
    assert ranking.notes["queries_missing_from_run"] == ["1"]
    assert relevance.shape == (3, 5)


@pytest.mark.parametrize(
    "beside",
    [
        {"relevance": np.eye(3)},
        {"query_labels": np.arange(2), "gallery_labels": np.arange(3)},
        {"relevance/shape": np.array([3, 2])},
    ],
)
def test_relevance_beside_a_problem_has_its_shape(tmp_path, beside):
    np.savez(tmp_path / "problem.npz", scores=np.eye(2), **beside)
    with pytest.raises(InputError, match=r"'relevance' must have the problem's shape \(2, 2\)"):
        rerankit.read(tmp_path / "problem.npz")


def test_a_score_beyond_float32_is_refused(tmp_path):
    (tmp_path / "a.run").write_text("q Q0 d 1 4e96 t\n")
    with pytest.raises(InputError, match="'scores' must be finite"):
        rerankit.read(tmp_path / "a.run")


def test_a_tensor_is_mapped(tmp_path):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    matrix = np.float32([[0.5, np.nan], [2, 3]])
    for name, zipped in (("a.pt", True), ("old.pt", False)):
        torch.save({"scores": torch.from_numpy(matrix)}, tmp_path / name, _use_new_zipfile_serialization=zipped)
        problem = read(tmp_path / name)  # a matrix in memory would be read and refused
        assert problem.scores.rows(slice(1, 2)).tolist() == [[2, 3]]
        array = read(tmp_path / name, "array")
        assert isinstance(array, np.memmap)
        assert not array.flags.writeable
        np.testing.assert_array_equal(array, matrix)


@pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
def test_a_query_without_items_comes_back_from_json(tmp_path, name):
    ranking = Ranking([[-1], [1], [-1]], [[-np.inf], [0.5], [-np.inf]], gallery_size=2, query_ids=["a", "b", "c"])
    write(tmp_path / name, ranking)
    assert read(tmp_path / name, gallery_ids=["0", "1"]).to_dict() == {"a": {}, "b": {"1": 0.5}, "c": {}}
    assert read(tmp_path / name, "problem").shape == (3, 1)
    with pytest.raises(FormatError, match=r"'query_ids' must have every id of the lines \(got 2 unknown"):
        read(tmp_path / name, query_ids=["b"])


def test_a_query_without_judgements_comes_back_from_json(tmp_path):
    relevance = Relevance.from_lists([[], [0]], 1)
    write(tmp_path / "a.qrels.json", relevance)
    assert read(tmp_path / "a.qrels.json") == {"0": {}, "1": {"0": 1.0}}
    assert read(tmp_path / "a.qrels.json", "relevance") == relevance
    write(tmp_path / "a.qrels", relevance)  # lines only have what is judged; the ids tell of the rest
    assert read(tmp_path / "a.qrels", "relevance", query_ids=["0", "1"], gallery_ids=["0"]) == relevance


def test_texts_of_any_shape_come_back_from_a_folder(tmp_path):
    texts = np.array([["a", "b c"], ["", "d"]])
    ids = ["\ufeffx", "y"]
    write(tmp_path / "p", Problem(np.eye(2), query_features={"words": texts}, gallery_ids=ids))
    back = read(tmp_path / "p")
    assert list(back.query_features["words"]) == [("a", "b c"), ("", "d")]
    assert back.gallery_ids.tolist() == ids


def test_relevance_is_read_with_its_problem(tmp_path):
    write(tmp_path / "a.npz", a_problem(), relevance=a_relevance())
    problem, relevance = read_both(tmp_path / "a.npz")
    same_problem(problem, a_problem())
    assert relevance == a_relevance()
    write(tmp_path / "b.npz", a_problem())
    assert read_both(tmp_path / "b.npz", "problem")[1] is None
    assert read_both(tmp_path / "a.npz", "relevance") == (a_relevance(), None)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.run", "q Q0 d 1 0.5 x\nq Q0 e 2 0.25 rerank"),
        ("a.txt", "q Q0 d 1 0.5 x\nq Q0 e 2 0.25 rerank"),
        ("a.qrels", "q 0 d 1\nq 0 e 1"),
        ("a.csv", "query,item,score\nq,d,0.5\nq,e,0.2"),
        ("a.tsv", "query\titem\tscore\nq\td\t0.5\nq\te\t0.2"),
        ("m.csv", "1,2\n3,4"),
    ],
)
def test_a_last_line_without_an_end_is_told(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.warns(errors.RerankitWarning, match=r"the last line has no end, so the file may have been cut short"):
        read(tmp_path / name)
    for end in ("\n", "\r\n", "\n\n"):
        (tmp_path / name).write_bytes(f"{text}{end}".encode())
        read(tmp_path / name)


def test_judgements_of_a_problem_are_by_its_ids_or_refused(tmp_path):
    right = Relevance.from_lists([[1], [0]], 2)
    rerankit.write(tmp_path / "a.qrels", right, query_ids=["p", "q"], gallery_ids=["x", "y"])
    problem = Problem(np.eye(2), query_ids=["q", "p"], gallery_ids=["x", "y"])
    assert read_relevance(problem, tmp_path / "a.qrels") == Relevance.from_lists([[0], [1]], 2)
    with pytest.raises(FormatError, match=r"a\.qrels: 'qrels' must name only known queries \(got 2 unknown"):
        read_relevance(Problem(np.eye(2)), tmp_path / "a.qrels")


def test_ids_of_arrays_are_given_or_those_of_the_file(tmp_path):
    names = {"query_ids": ["p", "q"], "gallery_ids": ["x", "y"]}
    rerankit.write(tmp_path / "bare.npz", Problem(np.eye(2)))
    assert rerankit.read(tmp_path / "bare.npz", **names).query_ids.tolist() == ["p", "q"]
    rerankit.write(tmp_path / "named.npz", Problem(np.eye(2), **names))
    assert rerankit.read(tmp_path / "named.npz", **names).gallery_ids.tolist() == ["x", "y"]
    with pytest.raises(FormatError, match=r"named\.npz: 'gallery_ids' must be those of the file, in its order"):
        rerankit.read(tmp_path / "named.npz", gallery_ids=["y", "x"])
    for value in (Problem(np.eye(2)), Relevance.from_dense(np.eye(2))):
        with pytest.raises(FormatError, match="'query_ids' and 'gallery_ids' name what a list of judgements holds"):
            rerankit.write(tmp_path / "lost.npz", value, **names)


@pytest.mark.parametrize("ending", ["", ".npz", ".safetensors"])
def test_notes_are_kept(tmp_path: Path, ending: str) -> None:
    scores = np.random.default_rng(0).random((4, 6))
    found = rerankit.rerank(scores, "nnn", k=3).with_notes(own=(1, np.float32(0.5), None), lost=object(), nan=np.nan)
    back = read(write(tmp_path / f"run{ending}", found), "ranking")
    assert back.notes["nnn"] == found.notes["nnn"]
    assert back.notes["looks_at"] == found.notes["looks_at"]
    assert back.notes["own"] == [1, 0.5, None]
    assert np.isnan(back.notes["nan"])
    assert set(found.notes) - set(back.notes) == {"seconds", "lost"}
    assert read(tmp_path / f"run{ending}", "problem").shape == (4, 6)


def test_the_same_run_is_written_as_the_same_bytes(tmp_path: Path) -> None:
    runs = [write(tmp_path / f"{name}.npz", rerankit.rerank(np.eye(3, 5), "csls", k=2)) for name in "ab"]
    assert Path(runs[0]).read_bytes() == Path(runs[1]).read_bytes()


@pytest.mark.parametrize(
    ("notes", "message"),
    [
        ("[1]", "'notes' must hold an object of JSON"),
        ("{", "'notes': line 1: truncated or not JSON"),
        ('{"looks_at": ["the stars"]}', "must be a list of queries, bank, labels"),
        ('{"looks_at": 3}', "must be a list of queries, bank, labels"),
    ],
)
def test_notes_that_are_none(tmp_path: Path, notes: str, message: str) -> None:
    np.savez(tmp_path / "run.npz", kind="ranking", indices=[[0]], scores=[[1.0]], notes=notes)
    with pytest.raises(FormatError, match=message):
        read(tmp_path / "run.npz")
