"""Files of MATLAB, as SciPy writes them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.io import savemat

import rerankit
from rerankit.errors import FormatError, InputError

SCORES = np.array([[0.5, 0, 0.25], [0, 0.75, 0.125]])


@pytest.mark.parametrize("compressed", [False, True])
def test_named_arrays_are_a_problem(tmp_path, compressed):
    path = tmp_path / "x.mat"
    content = {
        "scores": SCORES.astype(np.float32),
        "query_ids": np.array(["cat", "a dog"], object),
        "gallery_ids": [[7], [8], [9]],
        "relevance": np.array([[1, 0, 0], [0, 0, 2]], np.uint8),
    }
    savemat(path, content, do_compression=compressed)
    problem = rerankit.read(path)
    assert (problem.query_ids.tolist(), problem.gallery_ids.tolist()) == (["cat", "a dog"], [7, 8, 9])
    np.testing.assert_array_equal(problem.scores.rows(), SCORES)
    assert rerankit.read(path, "relevance").grades.tolist() == [1, 2]
    savemat(path, {"queries": np.eye(2), "gallery": np.ones((3, 2)), "metric": "dot"})
    assert rerankit.read(path).scores.rows().tolist() == [[1, 1, 1], [1, 1, 1]]


def test_sparse_scores_are_lists_and_sparse_relevance_is_relevance(tmp_path):
    path = tmp_path / "x.mat"
    savemat(path, {"scores": sparse.csc_matrix(SCORES), "relevance": sparse.csc_matrix(SCORES > 0.3).astype(float)})
    problem = rerankit.read(path, "problem")
    np.testing.assert_array_equal(problem.scores.rows(), np.where(SCORES == 0, -np.inf, SCORES))
    assert rerankit.read(path, "relevance").to_dense().tolist() == [[1, 0, 0], [0, 1, 0]]


def test_what_is_wrong_is_said(tmp_path):
    path = tmp_path / "x.mat"
    for content, words in (
        ({"indices": [[1, 2]], "scores": [[2.0, 1.0]]}, "'indices': numbers of rows are counted from 1 by MATLAB"),
        ({"scores": {"a": 1}}, r"'scores' must be a matrix of numbers or texts \(got a struct\)"),
        ({"query_ids": np.array([np.eye(2), "a"], object)}, "must have cells with one text each"),
        ({"other": sparse.eye(3).tocsc()}, "'other' is sparse, which only scores and relevance may be"),
    ):
        savemat(path, content)
        with pytest.raises(FormatError, match=words):
            rerankit.read(path)
    with pytest.raises(FormatError, match=r".mat is only read"):
        rerankit.write(tmp_path / "y.mat", rerankit.Problem(SCORES))
    (tmp_path / "new.mat").write_bytes(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(128) + b"\x89HDF\r\n")
    with pytest.raises(FormatError, match=r"files of MATLAB 7\.3 are HDF5: open it with h5py"):
        rerankit.read(tmp_path / "new.mat")


def test_what_unpacks_to_too_much_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "x.mat"
    savemat(path, {"scores": np.zeros((3000, 3000))}, do_compression=True)
    with pytest.raises(FormatError, match="the unpacked size of the arrays"):
        rerankit.read(path)
    with rerankit.limits.using(ratio=5000):
        assert rerankit.read(path, "problem").shape == (3000, 3000)


@pytest.mark.parametrize("size", [0, 3, 100, 129, 200, -20])
def test_a_file_that_is_cut_short(tmp_path, size):
    path = tmp_path / "x.mat"
    savemat(path, {"scores": SCORES})
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(FormatError):
        rerankit.read(path, "problem")


@pytest.mark.parametrize("order", ["<", ">"])
def test_numbers_are_of_their_class_whatever_they_are_stored_as(tmp_path, order):
    def element(kind, data):
        head = np.array([kind, len(data)], f"{order}u4").tobytes()
        return head + data + bytes(-len(data) % 8)

    flags, shape = (np.array(values, f"{order}i4").tobytes() for values in ([6, 0], [2, 3]))
    parts = element(6, flags) + element(5, shape) + element(1, b"scores") + element(2, bytes([1, 4, 2, 5, 3, 9]))
    mark = b"\x00\x01IM" if order == "<" else b"\x01\x00MI"
    (tmp_path / "x.mat").write_bytes(b"MATLAB 5.0".ljust(124) + mark + element(14, parts))
    assert rerankit.read(tmp_path / "x.mat", "problem").scores.rows().tolist() == [[1, 2, 3], [4, 5, 9]]


def test_texts_in_rows_of_characters_and_in_cells(tmp_path):
    savemat(
        tmp_path / "x.mat",
        {"scores": SCORES, "query_ids": ["ab", "cé"], "gallery_ids": np.array(["x", "", "z"], object)},
    )
    problem = rerankit.read(tmp_path / "x.mat", "problem")
    assert (problem.query_ids.tolist(), problem.gallery_ids.tolist()) == (["ab", "cé"], ["x", "", "z"])


@pytest.mark.parametrize("word", [b"\xff\xff\xff\xff", b"\x05\x00\x00\x00", b"\x00\x00\x00\x10"])
def test_a_word_that_is_anything_never_ends_the_process(tmp_path, word):
    path = tmp_path / "x.mat"
    savemat(path, {"scores": sparse.csc_matrix(SCORES), "query_ids": np.array(["a", "b"], object), "queries": SCORES})
    content, refused = path.read_bytes(), 0
    for place in range(124, len(content) - 4, 4):
        path.write_bytes(content[:place] + word + content[place + 4 :])
        try:
            rerankit.read(path)
        except InputError:
            refused += 1
    assert refused > 40
