"""Fashion-IQ, CIRR and CIRCO: protocol, server files, and files that are wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rerankit import Problem
from rerankit.bench import bench
from rerankit.errors import InputError
from rerankit.tasks import Benchmark, task
from rerankit.tasks.submission import read_server_file, write_server_files


def edit(path: Path, change) -> None:  # type: ignore[no-untyped-def]
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def random_scores(benchmark: Benchmark, name: str = "scores") -> np.ndarray:
    return np.random.default_rng(1).random(benchmark.matrices[name].shape, dtype=np.float32)


def test_fashion_iq_galleries_and_means(tmp_path: Path) -> None:
    original = task("fashion-iq").write_miniature(tmp_path).load(tmp_path)
    small = task("fashion-iq", gallery="val").load(tmp_path)
    assert list(original.matrices) == ["dress", "shirt", "toptee"]
    for name, matrix in original.matrices.items():
        used = {*matrix.query_features["reference"]} | {
            matrix.gallery_ids[i] for part in original.parts if part.name == name for i in part.relevance.indices
        }
        assert small.matrices[name].gallery_ids == [name for name in matrix.gallery_ids if name in used]
    results = {part.name: original.evaluate(part, random_scores(original, part.matrix)) for part in original.parts}
    summary = original.task.summary(results, original.parts)
    ten = [summary[f"{name}/success@10"] for name in original.matrices]
    fifty = [summary[f"{name}/success@50"] for name in original.matrices]
    assert summary["mean"] == pytest.approx((np.mean(ten) + np.mean(fifty)) / 2)
    with pytest.raises(InputError, match="unknown gallery '"):
        task("fashion-iq", gallery="all")


def test_fashion_iq_files_may_lie_flat(tmp_path: Path) -> None:
    small = task("fashion-iq").write_miniature(tmp_path / "deep")
    (tmp_path / "flat").mkdir()
    for path in (tmp_path / "deep").rglob("*.json"):
        (tmp_path / "flat" / path.name).write_bytes(path.read_bytes())
    assert small.load(tmp_path / "flat").checksum == small.load(tmp_path / "deep").checksum


def test_a_missing_target_is_named(tmp_path: Path) -> None:
    small = task("fashion-iq").write_miniature(tmp_path)
    edit(tmp_path / "captions/cap.shirt.val.json", lambda queries: queries[1].update(target="B00GONE"))
    with pytest.raises(InputError, match=r"must have targets that are in the gallery .*\(got 1 of 6 .*B00GONE"):
        small.load(tmp_path)


def test_cirr_leaves_the_reference_out(tmp_path: Path) -> None:
    benchmark = task("cirr").write_miniature(tmp_path).load(tmp_path)
    (part,) = benchmark.parts
    scores = np.zeros(benchmark.matrices["scores"].shape, np.float32)
    place = {name: column for column, name in enumerate(benchmark.matrices["scores"].gallery_ids)}
    for row, name in enumerate(benchmark.matrices["scores"].query_features["reference"]):
        scores[row, place[name]] = 9
        scores[row, part.relevance.of(row).items] = 5
    result = benchmark.evaluate(part, scores)
    assert result["success@1"] == result["subset_success@1"] == 1.0
    chance = benchmark.evaluate(part, np.zeros_like(scores))
    assert chance["subset_success@1"] == pytest.approx(1 / 5)
    assert chance["success@1"] == pytest.approx(1 / 59)
    summary = benchmark.task.summary({"cirr": chance}, benchmark.parts)
    assert summary["mean of success@5 and subset_success@1"] == pytest.approx((5 / 59 + 1 / 5) / 2)


def test_cirr_asserts_the_full_gallery(tmp_path: Path) -> None:
    task("cirr").write_miniature(tmp_path)
    with pytest.raises(InputError, match=r"must hold 2297 pictures, the full gallery \(got 60\)"):
        task("cirr").load(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda q: q[0].update(target_hard="dev-x"), "must have targets that are in the gallery"),
        (lambda q: q[0].update(reference="dev-x"), "must have references that are in the gallery"),
        (lambda q: q[0]["img_set"].update(members=["dev-x"]), "must have subset members that are in the gallery"),
        (lambda q: q[0].pop("img_set"), "entry 0 must have 'img_set'"),
        (lambda q: q[0].pop("caption"), "entry 0 must have 'caption'"),
        (lambda q: q[0].update(pairid=q[1]["pairid"]), "must name a query once"),
    ],
)
def test_broken_cirr_files(change, message: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    small = task("cirr").write_miniature(tmp_path)
    edit(tmp_path / "captions/cap.rc2.val.json", change)
    with pytest.raises(InputError, match=message):
        small.load(tmp_path)


def test_cirr_server_files(tmp_path: Path) -> None:
    benchmark = task("cirr").write_miniature(tmp_path).load(tmp_path)
    scores = random_scores(benchmark)
    recall, subset = write_server_files(benchmark, Problem(scores).ranking(), tmp_path / "out")
    content = json.loads(recall.read_text())
    assert (recall.name, content["version"], content["metric"]) == ("recall.json", "rc2", "recall")
    assert len(content["100"]) == 50
    assert json.loads(subset.read_text())["metric"] == "recall_subset"
    # What was written evaluates to what was ranked.
    (part,) = benchmark.parts
    wanted = benchmark.evaluate(part, scores)
    kind, again = read_server_file(benchmark, recall)
    assert kind.name == "recall"
    assert benchmark.evaluate(part, again, metrics=kind.metrics) == {name: wanted[name] for name in kind.metrics}
    kind, three = read_server_file(benchmark, subset)
    assert kind.name == "recall_subset"
    assert benchmark.evaluate(part, three, metrics=kind.metrics) == {name: wanted[name] for name in kind.metrics}


def test_the_test_split_has_no_targets(tmp_path: Path) -> None:
    small = task("cirr", split="test1").write_miniature(tmp_path)

    def blind(queries: list[dict]) -> None:
        for query in queries:
            del query["target_hard"], query["target_soft"]

    edit(tmp_path / "captions/cap.rc2.test1.json", blind)
    blind_split = small.load(tmp_path)
    assert blind_split.parts == ()
    with pytest.raises(InputError, match="'cirr' has nothing to evaluate"):
        bench(blind_split, random_scores(blind_split), "mutual-rank")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("103"), r"must have a list for every query \(got 1 of 8 that do not, such as \['103'\]\)"),
        (lambda c: c["103"].pop(), r"must list 50 items for every query \(got 1 of 8 .*'103'"),
        (lambda c: c["103"].__setitem__(0, c["103"][1]), "must list an item once"),
        (lambda c: c["103"].__setitem__(0, "dev-x"), "must list only items of the gallery .*dev-x"),
        (lambda c: c.update({"999": c["103"]}), "must name only queries of this task .*'999'"),
        (lambda c: c.update(version="rc1"), r"""must have "version": "rc2", .* \(got {'version': 'rc1'"""),
        (lambda c: c.update(metric="recall_subset"), r"must list 3 items for every query \(got 8 of 8"),
        (lambda c: c.update({"103": 5}), r"must hold lists of names \(got 1 of 8 .*'103'"),
    ],
)
def test_broken_server_files(change, message: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    benchmark = task("cirr").write_miniature(tmp_path).load(tmp_path)
    path, _ = write_server_files(benchmark, Problem(random_scores(benchmark)).ranking(), tmp_path)
    edit(path, change)
    with pytest.raises(InputError, match=message):
        read_server_file(benchmark, path)


def in_the_set(benchmark: Benchmark) -> np.ndarray:
    inside = np.zeros(benchmark.matrices["scores"].shape, np.float32)
    for row, members in enumerate(benchmark.parts[0].subset or ()):
        inside[row, members] = 1
    return inside


def test_rankings_that_make_no_server_file(tmp_path: Path) -> None:
    benchmark = task("cirr").write_miniature(tmp_path).load(tmp_path)
    given = Problem(random_scores(benchmark))
    last = Problem(random_scores(benchmark) - 2 * in_the_set(benchmark))  # the set's members come last
    with pytest.raises(InputError, match=r"at least 50 items other than the .* recall.json \(got 8 of 8 queries"):
        write_server_files(benchmark, given.ranking(20), tmp_path / "out")
    with pytest.raises(InputError, match=r"at least 3 members of its own set .* recall_subset.json \(got 8 of 8"):
        write_server_files(benchmark, last.ranking(56), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match=r"must have the queries and the gallery of the task, \(8, 60\)"):
        write_server_files(benchmark, given.subset(range(7)).ranking(), tmp_path / "out")
    with pytest.raises(InputError, match="task 'flickr30k' has no test server"):
        write_server_files(task("flickr30k").write_miniature(tmp_path).load(tmp_path), given.ranking(), tmp_path)


def test_circo_divides_by_what_can_be_found(tmp_path: Path) -> None:
    small = task("circo").write_miniature(tmp_path)
    benchmark = small.load(tmp_path)
    (part,) = benchmark.parts
    assert benchmark.evaluate(part, part.relevance.to_dense())["map@5"] == 1.0
    ranking = Problem(random_scores(benchmark)).ranking(50)
    (path,) = write_server_files(benchmark, ranking, tmp_path)
    _, again = read_server_file(benchmark, path)
    np.testing.assert_array_equal(again.indices, ranking.indices)
    edit(path, lambda content: content["2"].pop())
    with pytest.raises(InputError, match="must list 50 items for every query"):
        read_server_file(benchmark, path)


def test_broken_circo_files(tmp_path: Path) -> None:
    small = task("circo").write_miniature(tmp_path)
    path = tmp_path / "annotations/val.json"
    with pytest.raises(InputError, match=r"must hold 123403 pictures, the full gallery \(got 60\)"):
        task("circo").load(tmp_path)
    edit(path, lambda queries: queries[2]["gt_img_ids"].append(queries[2]["gt_img_ids"][0]))
    with pytest.raises(InputError, match=r"must name a target once \(got 1 of 7 that do not, such as \[2\]\)"):
        small.load(tmp_path)
    edit(path, lambda queries: queries[2].update(gt_img_ids=[5]))
    with pytest.raises(InputError, match=r"must have targets that are in the gallery .* such as \[5\]\)"):
        small.load(tmp_path)


def test_circo_brings_what_training_needs(tmp_path: Path) -> None:
    problem, relevance = task("circo").write_miniature(tmp_path).judged(tmp_path)
    assert problem.shape == relevance.shape == (7, 60)
    assert (relevance.counts > 0).all()
    first = problem.gallery_ids.tolist()[0]
    path = problem.gallery_features["candidate_path"][0]
    assert str(path) == f"COCO2017_unlabeled/unlabeled2017/{first:012d}.jpg"
