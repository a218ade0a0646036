"""Vectors in folders of numbered files are read as one array."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

import rerankit
from rerankit import Problem, limits
from rerankit.engines import Local
from rerankit.errors import FormatError, InputError
from rerankit.formats.safetensors import write_tensors
from rerankit.shards import Shards, open_shards

WIDTH = 6
VECTORS = np.random.default_rng(0).normal(size=(23, WIDTH)).astype(np.float16)


def write_shards(folder: Path, vectors=VECTORS, count: int = 3, name: str = "img_emb", kind: str = "npy") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, rows in enumerate(np.array_split(vectors, count)):
        WRITERS[kind](folder / f"{name}_{number}.{kind}", rows)
    return folder


def write_parquet(path: Path, rows) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.table(vector_table(arrow, rows)), path, row_group_size=3)


def write_arrow(path: Path, rows) -> None:
    arrow, ipc = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.ipc")
    table = arrow.table(vector_table(arrow, rows))
    with ipc.new_file(path, table.schema) as file:
        file.write_table(table, max_chunksize=4)


def write_hdf5(path: Path, rows) -> None:
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    with h5py.File(path, "w") as file:
        file.create_dataset("emb/vectors", data=rows, chunks=(3, rows.shape[1]))
        file["names"] = np.arange(len(rows))


def write_lance(path: Path, rows) -> None:
    lance = pytest.importorskip("lance", reason="pylance is not installed")
    arrow = pytest.importorskip("pyarrow")
    lance.write_dataset(arrow.table(vector_table(arrow, rows)), path, max_rows_per_file=5)


def vector_table(arrow, rows):
    values = arrow.FixedSizeListArray.from_arrays(arrow.array(rows.reshape(-1)), rows.shape[1])
    return {"key": [f"k{n}" for n in range(len(rows))], "embedding": values}


WRITERS = {
    "npy": np.save,
    "safetensors": lambda path, rows: write_tensors(path, {"emb": rows}),
    "parquet": write_parquet,
    "arrow": write_arrow,
    "h5": write_hdf5,
    "lance": write_lance,
}


def test_repr(tmp_path):
    shards = rerankit.read(write_shards(tmp_path / "img_emb"))
    assert repr(shards) == f"Shards(23 × 6, float16, 3 files in {tmp_path / 'img_emb'})"


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_every_way_of_asking_gives_the_rows_of_one_array(tmp_path, kind, count):
    shards = rerankit.read(write_shards(tmp_path / "v", count=count, kind=kind), "array")
    assert (shards.shape, shards.dtype, len(shards), shards.nbytes) == ((23, WIDTH), np.float16, 23, 23 * WIDTH * 2)
    wanted = [slice(None), slice(3, 19), slice(20, 40), slice(2, 20, 3), slice(5, 5), np.array([22, 0, 7, 7]), 4, -1]
    for rows in wanted:
        assert np.array_equal(shards[rows], VECTORS[rows]), rows
    assert np.array_equal(np.asarray(shards), VECTORS)
    assert np.array_equal(shards[:, 1:3], VECTORS[:, 1:3])


def test_shards_come_by_number_and_not_by_letter(tmp_path):
    shards = open_shards(write_shards(tmp_path / "v", count=11))
    assert np.array_equal(shards[:], VECTORS)
    assert [path.name for path in shards.paths][-2:] == ["img_emb_9.npy", "img_emb_10.npy"]
    padded = tmp_path / "padded"
    padded.mkdir()
    for number in range(11):
        np.save(padded / f"part-{number:05d}-of-00011.npy", VECTORS[number : number + 1])
    assert np.array_equal(open_shards(padded)[:], VECTORS[:11])


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("stage", ["nnn", "csls", "k-reciprocal", "mutual-rank", "diffusion"])
def test_a_problem_of_shards_gets_the_bits_of_one_array(tmp_path, stage, count):
    texts = np.random.default_rng(1).normal(size=(9, WIDTH)).astype(np.float16)
    gallery, queries = write_shards(tmp_path / "i", count=count), write_shards(tmp_path / "t", texts, count)
    made = rerankit.Problem.from_embeddings(rerankit.read(queries), rerankit.read(gallery))
    whole = rerankit.Problem.from_embeddings(texts, VECTORS)
    assert rerankit.rerank(made, stage, k=5) == rerankit.rerank(whole, stage, k=5)


def test_galleries_and_banks_of_shards_get_the_bits_of_one_array(tmp_path):
    bank = np.random.default_rng(2).normal(size=(8, WIDTH)).astype(np.float16)
    items, old = rerankit.read(write_shards(tmp_path / "i")), rerankit.read(write_shards(tmp_path / "b", bank))
    ready = rerankit.prepare("inverted-softmax", rerankit.Gallery(items, bank=old))
    whole = rerankit.prepare("inverted-softmax", rerankit.Gallery(VECTORS, bank=bank))
    query = np.arange(WIDTH) - 2.5
    assert ready.rerank(query, k=7) == whole.rerank(query, k=7)
    ready.save(tmp_path / "ready")
    assert rerankit.load(tmp_path / "ready").rerank(query, k=7) == whole.rerank(query, k=7)


def test_scores_in_shards_are_scores(tmp_path):
    matrix = np.random.default_rng(3).normal(size=(11, 40)).astype(np.float32)
    shards = rerankit.read(write_shards(tmp_path / "s", matrix))
    with rerankit.settings.using(memory_budget=2000):
        made = rerankit.Problem(shards)
        assert "StoredScores" in repr(made)
        assert made.ranking(5) == rerankit.Problem(matrix).ranking(5)
        assert np.array_equal(made.reversed().scores.rows(slice(3, 9)), matrix.T[3:9])


def clip_folder(folder: Path, count: int = 11) -> Path:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    write_shards(folder / "img_emb", count=count)
    write_shards(folder / "text_emb", -VECTORS, count, "text_emb")
    (folder / "metadata").mkdir()
    names = np.array([f"{n}.jpg" for n in range(len(VECTORS))])
    for number, part in enumerate(np.array_split(names, count)):
        table = arrow.table({"caption": ["x"] * len(part), "image_path": part.tolist()})
        parquet.write_table(table, folder / "metadata" / f"metadata_{number}.parquet")
    return folder


def test_the_folder_of_clip_retrieval_is_a_problem_with_ids(tmp_path):
    problem = rerankit.read(clip_folder(tmp_path / "clip"))
    assert isinstance(problem.scores.gallery, Shards)
    assert problem.gallery_ids.tolist() == [f"{n}.jpg" for n in range(23)] == problem.query_ids.tolist()
    assert problem.ranking(2) == rerankit.Problem.from_embeddings(-VECTORS, VECTORS).with_ids(
        problem.query_ids, problem.gallery_ids
    ).ranking(2)


def test_a_folder_of_names_may_have_its_vectors_in_shards(tmp_path):
    write_shards(tmp_path / "p" / "gallery", name="part")
    np.save(tmp_path / "p" / "queries.npy", VECTORS[:2])
    (tmp_path / "p" / "metric.txt").write_text("dot\n")
    problem = rerankit.read(tmp_path / "p")
    assert problem.ranking(3) == rerankit.Problem.from_embeddings(VECTORS[:2], VECTORS, "dot").ranking(3)


def test_a_parquet_file_of_vectors_is_an_array(tmp_path):
    write_parquet(tmp_path / "v.parquet", VECTORS)
    assert np.array_equal(rerankit.read(tmp_path / "v.parquet", "array")[:], VECTORS)


def test_what_lies_in_files_pickles_as_paths(tmp_path):
    big = np.random.default_rng(4).normal(size=(4000, 32)).astype(np.float16)
    shards = rerankit.read(write_shards(tmp_path / "v", big))
    np.save(tmp_path / "one.npy", big)
    mapped = rerankit.read(tmp_path / "one.npy")
    for gallery in (shards, mapped, mapped[100:]):
        problem = rerankit.Problem.from_embeddings(big[:3], gallery)
        written = pickle.dumps(problem)
        assert len(written) < 10_000
        assert pickle.loads(written).ranking(4) == problem.ranking(4)
    matrix = rerankit.Problem(mapped)
    assert len(pickle.dumps(matrix)) < 5_000
    turned = pickle.loads(pickle.dumps(matrix.reversed()))
    assert turned.ranking(2) == matrix.reversed().ranking(2)


def test_a_file_that_has_changed_since_is_not_read_for_another(tmp_path):
    folder = write_shards(tmp_path / "v")
    written = pickle.dumps(rerankit.read(folder))
    np.save(folder / "img_emb_1.npy", np.zeros((9, WIDTH), np.float16))
    with pytest.raises(FormatError, match=r"img_emb_1.npy: is not the file it was"):
        pickle.loads(written)


def drop(name):
    return lambda folder: (folder / name).unlink()


def write(name, rows):
    return lambda folder: np.save(folder / name, rows)


def cut(name):
    def change(folder):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[:-7])

    return change


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (drop("img_emb_1.npy"), "the shard img_emb_1.npy is missing"),
        (drop("img_emb_0.npy"), "the shard img_emb_0.npy is missing"),
        (cut("img_emb_2.npy"), "img_emb_2.npy: .*truncated"),
        (write("img_emb_1.npy", VECTORS[:8, :4]), "img_emb_1.npy: must have the width of img_emb_0.npy, 6 .got 4."),
        (write("img_emb_1.npy", VECTORS[:8].astype(np.float32)), "img_emb_1.npy: must have the dtype .* .got float32."),
        (write("img_emb_1.npy", VECTORS[0]), "img_emb_1.npy: must hold vectors"),
        (write("img_emb_01.npy", VECTORS[:8]), "img_emb_1.npy: has the number of img_emb_01.npy"),
        (drop("../metadata/metadata_2.parquet"), "no table for text_emb_2.npy"),
        (write("img_emb_1.npy", VECTORS[:7]), "metadata_1.parquet: must have a row for each vector .*, 7 .got 8."),
        (cut("../metadata/metadata_1.parquet"), "metadata_1.parquet: cannot be read"),
    ],
)
def test_errors_name_the_shard(tmp_path, change, text):
    folder = clip_folder(tmp_path / "clip", 3)
    change(folder / "img_emb")
    with pytest.raises(FormatError, match=text):
        rerankit.read(folder)


def test_a_table_without_vectors_of_its_own_is_refused(tmp_path):
    folder = clip_folder(tmp_path / "clip", 3)
    (folder / "img_emb" / "img_emb_2.npy").unlink()
    with pytest.raises(FormatError, match=r"metadata_2.parquet: has no shard of vectors"):
        rerankit.read(folder)


@pytest.mark.parametrize("kind", ["parquet", "arrow", "safetensors"])
def test_damaged_shards_of_every_kind_are_named(tmp_path, kind):
    folder = write_shards(tmp_path / "v", kind=kind)
    cut(f"img_emb_1.{kind}")(folder)
    with pytest.raises(FormatError, match=f"img_emb_1.{kind}"):
        open_shards(folder)


def test_numbers_that_are_not_finite_are_named_by_their_file(tmp_path):
    bad = VECTORS.copy()
    bad[10, 2] = np.nan
    problem = rerankit.Problem.from_embeddings(VECTORS, rerankit.read(write_shards(tmp_path / "v", bad)))
    with pytest.raises(InputError, match=r"img_emb_1.npy, row 2: must be finite \(got nan in column 2\)"):
        problem.ranking(3)


def test_files_with_other_names_are_no_shards(tmp_path):
    np.save(tmp_path / "a.npy", VECTORS)
    np.save(tmp_path / "b_0.npy", VECTORS)
    assert set(rerankit.read(tmp_path)) == {"a", "b_0"}
    with pytest.raises(FormatError, match="must hold shards"):
        open_shards(tmp_path)


def test_hdf5_that_says_it_holds_far_more_than_its_file_is_refused(tmp_path):
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    for ways, told in (
        ({"shape": (10**9, 512), "chunks": (1000, 512)}, "the size of '/v', in multiples of its file's,"),
        ({"shape": (10, 512), "maxshape": (None, 512), "chunks": (10**6, 512)}, "the unpacked size of a chunk of '/v'"),
    ):
        with h5py.File(tmp_path / "v0.h5", "w") as file:
            file.create_dataset("v", dtype="f4", compression="gzip", **ways)
        with pytest.raises(FormatError, match=rf"v0.h5: {told}.* must be at most 250"):
            rerankit.read(tmp_path, "array")
    with h5py.File(tmp_path / "v0.h5", "w") as file:
        file.create_dataset("v", data=np.zeros((10**6, 64), "f4"), chunks=(1000, 64), compression="gzip")
    with limits.using(ratio=10_000):
        assert rerankit.read(tmp_path, "array")[999_990:].shape == (10, 64)


def test_rows_of_hdf5_that_are_damaged_are_told(tmp_path):
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    with h5py.File(tmp_path / "v0.h5", "w") as file:
        file.create_dataset("v", data=VECTORS, chunks=(3, WIDTH), fletcher32=True)
    content = (tmp_path / "v0.h5").read_bytes()
    at = content.index(VECTORS[0].tobytes())
    (tmp_path / "v0.h5").write_bytes(content[: at + 1] + bytes([content[at + 1] ^ 1]) + content[at + 2 :])
    shards = rerankit.read(tmp_path, "array")
    with pytest.raises(FormatError, match=r"v0.h5: rows of '/v' cannot be read"):
        shards[:]


def test_a_dataset_of_hdf5_is_read_by_chunks_and_nothing_outside_of_its_file(tmp_path):
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    folder = write_shards(tmp_path / "v", kind="h5")
    shards = rerankit.read(folder, "array")
    problem = Problem.from_embeddings(VECTORS[:4], shards)
    expected = rerankit.rerank(Problem.from_embeddings(VECTORS[:4], VECTORS), "dba", k=5)
    assert rerankit.rerank(problem, "dba", k=5) == expected
    assert rerankit.rerank(problem, "dba", k=5, engine=Local(workers=2), shard_size=2) == expected
    np.save(tmp_path / "secret.npy", VECTORS)
    with h5py.File(folder / "v_3.h5", "w") as file:
        file.create_dataset("a", (2, WIDTH), "f2", external=[(str(tmp_path / "secret.npy"), 128, 2 * WIDTH * 2)])
    (folder / "v_3.h5").rename(folder / "img_emb_3.h5")
    with pytest.raises(FormatError, match=r"img_emb_3.h5: '/a' says that its rows lie in other files"):
        rerankit.read(folder, "array")
    for content, told in (
        ({}, r"must hold one dataset of vectors \(rows, d\) \(got none\)"),
        ({"a": VECTORS, "b": VECTORS}, r"got /a, /b"),
        ({"a": h5py.ExternalLink(str(folder / "img_emb_0.h5"), "/emb/vectors")}, "got none"),
    ):
        with h5py.File(folder / "img_emb_3.h5", "w") as file:
            for name, value in content.items():
                file[name] = value
        with pytest.raises(FormatError, match=told):
            rerankit.read(folder, "array")
    (folder / "img_emb_3.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(40))
    with pytest.raises(FormatError, match=r"img_emb_3.h5: "):
        rerankit.read(folder, "array")


def test_a_dataset_of_lance_is_read_by_rows_and_as_it_is_now(tmp_path):
    lance = pytest.importorskip("lance", reason="pylance is not installed")
    arrow = pytest.importorskip("pyarrow")
    write_lance(tmp_path / "v.lance", VECTORS)
    alone, folder = rerankit.read(tmp_path / "v.lance"), write_shards(tmp_path / "v", kind="lance")
    expected = rerankit.rerank(Problem.from_embeddings(VECTORS[:4], VECTORS), "dba", k=5)
    for shards in (alone, rerankit.read(folder)):
        problem = Problem.from_embeddings(VECTORS[:4], shards)
        assert rerankit.rerank(problem, "dba", k=5) == expected
        assert rerankit.rerank(problem, "dba", k=5, engine=Local(workers=2), shard_size=2) == expected
    packed = pickle.dumps(alone)
    assert np.array_equal(pickle.loads(packed)[[7, 3, 7]], VECTORS[[7, 3, 7]])
    lance.dataset(tmp_path / "v.lance").delete("key = 'k3'")
    with pytest.raises(FormatError, match=r"v.lance: is not the file it was"):
        pickle.loads(packed)
    assert np.array_equal(rerankit.read(tmp_path / "v.lance")[2:5], VECTORS[[2, 4, 5]])
    lists = arrow.table({"embedding": VECTORS.astype(np.float32).tolist()})
    lance.write_dataset(lists, tmp_path / "lists.lance")
    with pytest.raises(FormatError, match=r"lists.lance: 'embedding' must be a list of a fixed size \(got list"):
        rerankit.read(tmp_path / "lists.lance")
    (tmp_path / "empty.lance").mkdir()
    with pytest.raises(FormatError, match=r"empty.lance: "):
        rerankit.read(tmp_path / "empty.lance")
    for file in (folder / "img_emb_1.lance" / "data").iterdir():
        file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(FormatError, match=r"img_emb_1.lance: "):
        rerankit.read(folder)[:]
