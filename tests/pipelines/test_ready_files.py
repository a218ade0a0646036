"""Prepared galleries on disk: mapped, checked, and the same answers in any process."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import rerankit
from rerankit import Bank, Gallery, Pipeline, Ranking, Ready, Stage, load, prepare, stage
from rerankit.arrays import is_memory_map
from rerankit.errors import FormatError, InputError
from rerankit.files import entry
from rerankit.formats.safetensors import write_tensors
from rerankit.pipelines.prepared import Prepared, State
from rerankit.pipelines.ready_files import read_states, write_states
from rerankit.reading.safetensors_file import read_tensors
from rerankit.scores import ListScores

RANDOM = np.random.default_rng(0)
ITEMS, QUERIES, OLD = (RANDOM.normal(size=(count, 8)) for count in (60, 5, 20))
NAMES = [f"item-{row}" for row in range(60)]
STAGES = {
    "nnn": stage("nnn"),
    "qb-norm": stage("qb-norm"),
    "dual-softmax": stage("dual-softmax"),
    "mutual-rank": stage("mutual-rank"),
    "k-reciprocal": stage("k-reciprocal"),
    "gnn": stage("gnn"),
    "diffusion": stage("diffusion"),
    "alpha-qe": stage("alpha-qe"),
    "nested": Pipeline([stage("fuse", sources=["ranking", stage("nnn"), stage("csls").top(4)]), stage("dba")]),
}


CASES = [(name, "cosine") for name in STAGES] + [("nested", "euclidean"), ("k-reciprocal", "euclidean")]


@pytest.mark.parametrize(("name", "metric"), CASES)
def test_a_loaded_gallery_gives_the_same_answers(name, metric, tmp_path):
    how = STAGES[name]
    ready = prepare(how, Gallery(ITEMS, ids=NAMES, metric=metric, bank=OLD))
    ready.save(tmp_path / "ready")
    loaded = load(tmp_path / "ready")
    assert isinstance(loaded, Ready)
    assert repr(loaded) == repr(ready)
    assert loaded.info() == ready.info()
    for query in QUERIES:
        assert loaded.rerank(query, k=20) == ready.rerank(query, k=20)
    by_id = {"candidates": ["item-9", "item-30"], "scores": [0.4, 0.3]}
    assert loaded.rerank(QUERIES[0], **by_id) == ready.rerank(QUERIES[0], **by_id)


def test_arrays_are_mapped_and_nothing_is_prepared_again(tmp_path, monkeypatch):
    prepare("nnn", Gallery(ITEMS, ids=NAMES, bank=OLD)).save(tmp_path / "ready")
    monkeypatch.setattr(rerankit.stages.hubness.nnn.NNN, "correction", None)
    loaded = load(tmp_path / "ready")
    assert is_memory_map(loaded.gallery.embeddings.standing.held.vectors)
    assert is_memory_map(loaded.gallery.ids.values)
    assert is_memory_map(loaded.prepared.children[0].correction.of_items)


def test_another_process_gives_the_same_answers(tmp_path):
    ready = prepare("sinkhorn", Gallery(ITEMS, ids=NAMES, bank=OLD))
    ready.save(tmp_path / "ready")
    np.save(tmp_path / "queries.npy", QUERIES)
    program = (
        "import sys, numpy as np, rerankit\n"
        "found = rerankit.load(sys.argv[1] + '/ready').rerank(np.load(sys.argv[1] + '/queries.npy'), k=9)\n"
        "rerankit.write(sys.argv[1] + '/run.npz', found)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, timeout=120)
    assert rerankit.read(tmp_path / "run.npz", "ranking") == ready.rerank(QUERIES, k=9)


def test_matrices_lists_features_and_whole_ids_are_kept(tmp_path):
    scores = np.float32(OLD @ ITEMS.T)
    first = np.argsort(-scores, axis=1)[:, :15]
    banks = {
        "matrix": Bank(to_gallery=scores),
        "lists": Bank(to_gallery=ListScores(first, np.take_along_axis(scores, first, axis=1), 60)),
    }
    for name, bank in banks.items():
        gallery = Gallery.from_scores(
            gallery_scores=ITEMS @ ITEMS.T,
            bank=bank,
            ids=range(100, 160),
            features={"text": NAMES, "size": np.arange(60)},
        )
        ready = prepare(stage("nnn") >> stage("dba"), gallery)
        ready.save(tmp_path / name)
        loaded = load(tmp_path / name)
        assert list(loaded.gallery.side.features["text"]) == NAMES
        assert loaded.gallery.ids == gallery.ids
        rows = QUERIES @ ITEMS.T
        assert loaded.rerank(scores=rows, k=9) == ready.rerank(scores=rows, k=9)


def test_a_changed_file_is_refused_and_a_copied_folder_is_not(tmp_path):
    prepare("nnn", Gallery(ITEMS, bank=OLD)).save(tmp_path / "ready")
    file = tmp_path / "ready" / "gallery.safetensors"
    os.utime(file, (1, 1))  # as after a copy
    assert load(tmp_path / "ready").rerank(QUERIES[0], k=3).shape == (1, 3)
    content = bytearray(file.read_bytes())
    content[-9] ^= 1
    file.write_bytes(content)
    with pytest.raises(FormatError, match=r"gallery.safetensors: is not what was written"):
        load(tmp_path / "ready")
    file.write_bytes(content[:-8])
    with pytest.raises(FormatError, match="is not what was written"):
        load(tmp_path / "ready")
    file.unlink()
    with pytest.raises(FormatError, match="no such file"):
        load(tmp_path / "ready")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda config: config.update(version="0.0.1"),
            "was prepared by rerankit 0.0.1, .*prepare it again",
        ),
        (lambda config: config.update(format=9), "has format 9"),
        (lambda config: config["ready"].pop("gallery"), "no prepared gallery of this rerankit"),
        (lambda config: config.update(ready=None), "no prepared gallery of this rerankit"),
        (
            lambda config: config["ready"]["texts"].append("ids"),
            "'ids' must hold the characters of texts",
        ),
        (lambda config: config["ready"]["texts"].clear(), r"'ids' must have the shape \(60,\)"),
        (lambda config: config["ready"]["gallery"].update(size=61), r"'ids' must have the shape \(61,\)"),
    ],
)
def test_a_folder_of_another_version_or_with_a_damaged_config_is_refused(change, message, tmp_path):
    prepare("nnn", Gallery(ITEMS, ids=NAMES, bank=OLD)).save(tmp_path / "ready")
    file = tmp_path / "ready" / "config.json"
    config = json.loads(file.read_text())
    change(config)
    file.write_text(json.dumps(config))
    with pytest.raises(InputError, match=message):
        load(tmp_path / "ready")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("vectors", lambda array: array[:-1]),
        ("vectors", np.ravel),
        ("held/vectors", lambda array: array[:, :-1]),
        ("held/vectors", lambda array: array[None]),
        ("held/squares", lambda array: array[:-1]),
        ("held/longest", lambda array: array[:0]),
        ("bank/held/vectors", lambda array: array[:-1]),
        ("bank/held/longest", lambda array: array[:0]),
    ],
)
def test_arrays_that_do_not_fit_each_other_are_refused_though_their_checksums_do(name, change, tmp_path):
    prepare("nnn", Gallery(ITEMS, bank=OLD)).save(tmp_path / "ready")
    place, file = tmp_path / "ready" / "config.json", tmp_path / "ready" / "gallery.safetensors"
    arrays = {key: np.array(array) for key, array in read_tensors(file).items()}
    file.unlink()  # what is mapped stays
    write_tensors(file, arrays | {name: np.ascontiguousarray(change(arrays[name]))})
    config = json.loads(place.read_text())
    config["files"][file.name] = entry(file, "sha256")
    place.write_text(json.dumps(config))
    with pytest.raises(InputError, match=rf"'{name}' must have the shape|'held/vectors' must have the shape"):
        load(tmp_path / "ready")


class Keeps(Stage):
    """Keep these values of a gallery."""

    name = "keeps"

    def __init__(self, values):
        self.values = values

    def rescore(self, problem, ranking):
        return ranking.scores

    def prepare(self, gallery):
        return Kept(self, gallery)


class Kept(Prepared):
    def state(self):
        return State({"lengths": [1.0, 2.0]}, self.stage.values)


def test_what_a_stage_keeps_may_be_any_plain_values(tmp_path):
    values = {"level": np.float32(1.5), "sizes": (np.int64(2), 3), "by_name": {"a": None}}
    write_states(prepare(Keeps(values), Gallery(ITEMS)), tmp_path)
    (state,) = read_states(tmp_path)
    assert state.values == {"level": 1.5, "sizes": [2, 3], "by_name": {"a": None}}
    assert state.arrays["lengths"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"seen": {1}}, r"\['seen'\]"),
        ({"places": {1: 2}}, r"\['places'\]"),
        ({3: 4}, ""),
        ({"a": np.ones(2)}, r"\['a'\]"),
    ],
)
def test_what_json_does_not_give_back_is_refused_with_the_name_of_the_stage(values, where, tmp_path):
    with pytest.raises(InputError, match=rf"'State of stage keeps{where}' must have values that JSON holds"):
        write_states(prepare(Keeps(values), Gallery(ITEMS)), tmp_path)


def test_a_folder_is_replaced_only_when_it_is_ours(tmp_path):
    ready = prepare("nnn", Gallery(ITEMS, bank=OLD))
    ready.save(tmp_path / "ready")
    with pytest.raises(InputError, match="'folder' must not exist"):
        ready.save(tmp_path / "ready")
    ready.save(tmp_path / "ready", overwrite=True)
    (tmp_path / "ready" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="which rerankit did not write"):
        ready.save(tmp_path / "ready", overwrite=True)


# -- changes -----------------------------------------------------------------------------------------------


NEW = RANDOM.normal(size=(6, 8))
KEPT = [row for row in range(60) if row not in (3, 10)]


UPDATED_EXACTLY = [
    (stage("nnn", published=True), "cosine"),
    (stage("csls", published=True), "dot"),
    (stage("mutual-rank", published=True), "euclidean"),
    (stage("sinkhorn"), "cosine"),
    (stage("qb-norm"), "euclidean"),
    (stage("fuse", sources=["ranking", stage("nnn", published=True).top(9)]), "cosine"),
]


@pytest.mark.parametrize(("how", "metric"), UPDATED_EXACTLY)
def test_an_exact_update_equals_a_fresh_preparation_to_the_bit(how, metric):
    ready = prepare(how, Gallery(ITEMS, ids=NAMES, metric=metric, bank=OLD))
    assert all(row["exact"] for row in ready.info())
    more = Gallery(NEW, ids=[f"new-{row}" for row in range(6)], metric=metric)
    updated = ready.updated(add=more, remove=["item-3", "item-10"])
    names = [NAMES[row] for row in KEPT] + [f"new-{row}" for row in range(6)]
    fresh = prepare(how, Gallery(np.concatenate([ITEMS[KEPT], NEW]), ids=names, metric=metric, bank=OLD))
    assert updated.rerank(QUERIES, k=20) == fresh.rerank(QUERIES, k=20)
    assert ready.rerank(QUERIES, k=20).gallery_size == 60


@pytest.mark.parametrize(
    ("name", "keeps", "apart"),
    [
        ("nnn", "a number for each item", 0.01),
        ("csls", "a number for each item", 0.01),
        ("mutual-rank", "each item's scores at some places among the bank's queries", 0.3),
    ],
)
def test_an_update_that_is_not_exact_says_so_and_is_near(name, keeps, apart):
    ready = prepare(name, Gallery(ITEMS, bank=OLD))
    assert ready.info()[0] | {"bytes": 0, "stage": ""} == {
        "stage": "",
        "depth": 0,
        "keeps": keeps,
        "bytes": 0,
        "update": "its items alone",
        "exact": False,
    }
    updated = ready.updated(add=NEW, remove=[3, 10])
    fresh = prepare(name, Gallery(np.concatenate([ITEMS[KEPT], NEW]), bank=OLD))
    one, other = (each.rerank(QUERIES, k=64).to_dense() for each in (updated, fresh))
    assert np.abs(one - other).max() < apart * other.std()


def test_removing_items_leaves_the_others_as_they_are():
    ready = prepare("nnn", Gallery(ITEMS, bank=OLD))
    whole = ready.rerank(QUERIES, k=60).to_dense()
    np.testing.assert_array_equal(ready.updated(remove=[3, 10]).rerank(QUERIES, k=58).to_dense(), whole[:, KEPT])
    places = prepare("mutual-rank", Gallery(ITEMS, bank=OLD))
    left = places.updated(remove=[3, 10]).prepared.children[0].state()
    before = places.prepared.children[0].state().arrays["levels"]
    np.testing.assert_array_equal(left.arrays["levels"], before[KEPT])


def test_a_change_looks_at_new_items_and_not_again_at_the_bank(monkeypatch):
    twice = np.concatenate([OLD, OLD[:5]])
    ready, once = (prepare("csls", Gallery(ITEMS, bank=bank)) for bank in (twice, OLD))
    expected = ready.updated(add=NEW).rerank(QUERIES, k=9)
    monkeypatch.setattr("rerankit.scores.vectors.firsts", lambda *_: pytest.fail("the bank is read again"))
    updated = ready.updated(add=NEW)
    assert updated.rerank(QUERIES, k=9) == expected
    assert updated.gallery.bank.to_gallery.queries is ready.gallery.bank.to_gallery.queries
    assert once.updated(add=NEW).rerank(QUERIES, k=9) == expected


def test_another_bank_is_prepared_anew():
    ready = prepare("nnn", Gallery(ITEMS, bank=OLD)).updated(bank=QUERIES)
    assert ready.rerank(QUERIES, k=9) == prepare("nnn", Gallery(ITEMS, bank=QUERIES)).rerank(QUERIES, k=9)


def test_matrices_grow_with_the_scores_of_the_bank():
    scores = OLD @ ITEMS.T
    ready = prepare("sinkhorn", Gallery.from_scores(bank=Bank(to_gallery=scores[:, :50])))
    updated = ready.updated(add=Gallery.from_scores(bank=Bank(to_gallery=scores[:, 50:])))
    whole = prepare("sinkhorn", Gallery.from_scores(bank=Bank(to_gallery=scores)))
    rows = QUERIES @ ITEMS.T
    assert updated.rerank(scores=rows, k=9) == whole.rerank(scores=rows, k=9)


def test_features_follow_their_items():
    gallery = Gallery(ITEMS, features={"text": NAMES, "size": np.arange(60)}, bank=OLD)
    more = Gallery(NEW, features={"text": list("abcdef"), "size": np.arange(6)})
    side = prepare("nnn", gallery).updated(add=more, remove=[0]).gallery.side
    assert list(side.features["text"]) == [*NAMES[1:], *"abcdef"]
    assert side.features["size"].values.tolist() == [*range(1, 60), *range(6)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"add": NEW[:, :3]}, "'add' must have the gallery's width and metric"),
        ({"add": NEW}, "'add' must have ids exactly where the gallery has"),
        ({"add": Gallery(NEW[:1], ids=["item-5"])}, "'add' must be unique"),
        ({"add": Gallery(NEW[:1], ids=[5])}, "'add' must have ids of the gallery's kind"),
        ({"add": Gallery.from_scores(ids=["x"])}, "'add' must have vectors exactly where the gallery has"),
        ({"remove": ["item-99"]}, "'remove' must name only known ids"),
        ({"remove": NAMES}, "'remove' must leave at least one item"),
        ({"bank": OLD[:, :2]}, "'bank' must have the gallery's width"),
    ],
)
def test_changes_that_do_not_fit_are_refused(changes, message):
    ready = prepare("nnn", Gallery(ITEMS, ids=NAMES, bank=OLD))
    with pytest.raises(InputError, match=message):
        ready.updated(**changes)


def test_threads_share_a_loaded_gallery(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    prepare(STAGES["nested"], Gallery(ITEMS, ids=NAMES, bank=OLD)).save(tmp_path / "ready")
    loaded = load(tmp_path / "ready")
    alone = loaded.rerank(QUERIES, k=9)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda turn: loaded.rerank(QUERIES[turn % 5], k=9), range(40)))
    assert Ranking.concat(found[5:10]) == alone
    assert all(found[turn] == found[turn % 5] for turn in range(40))
