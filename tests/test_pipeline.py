from __future__ import annotations

import json

import numpy as np
import pytest

import rerankit
from rerankit import Pipeline, Problem, Stage, rerank, stage
from rerankit.errors import FormatError, InputError, MissingExtraError, StageError, UnmetNeedError
from strategies import distinct


class Failing(Stage):
    name = "failing"

    def rescore(self, problem, ranking):
        raise ValueError("no luck")


class Losing(Stage):
    name = "losing"

    def rerank(self, problem, ranking):
        return ranking.top(1)


class Needy(Stage):
    name = "needy"

    @property
    def needs(self):
        return ("query_scores", "gallery_scores", "gallery_features:regions", "query_bank", "complete_scores")


def test_repr():
    assert repr(Pipeline(["mutual-rank", stage("fuse").top(3)])) == (
        "Pipeline([stage('mutual-rank'), stage('fuse').top(3)])"
    )


def test_stages_run_in_order_and_notes_say_so():
    problem = Problem(distinct(5, 8))
    result = rerank(problem, stage("mutual-rank") >> stage("fuse").top(3), k=6)
    by_hand = problem.ranking(6)
    for one in (stage("mutual-rank"), stage("fuse").top(3)):
        by_hand = one.rerank(problem, by_hand)
    assert result == by_hand
    assert result.notes["stages"] == ["stage('mutual-rank')", "stage('fuse').top(3)"]
    assert result.notes["transductive"] is True
    assert len(result.notes["seconds"]) == 2


def test_an_empty_pipeline_is_the_backbone():
    problem = Problem(distinct(5, 8))
    assert rerank(problem, Pipeline([])) == problem.ranking()


def test_all_unmet_needs_come_in_one_message_before_anything_runs():
    problem = Problem.from_rankings([[0]], [[1]], 2)
    with pytest.raises(UnmetNeedError) as error:
        rerank(problem, Failing() >> Needy())
    lines = str(error.value).splitlines()
    assert len(lines) == 5
    assert lines[2] == (
        "stage 'needy' needs gallery_features:regions: "
        "give Problem(…, features={'regions': rerankit.Feature(values, side='gallery')})"
    )


def test_an_unknown_need_is_an_error():
    class Odd(Stage):
        needs = ("query_scroes",)

    with pytest.raises(InputError, match="unknown need 'query_scroes'; did you mean 'query_scores'"):
        rerank([[1]], Odd())


def test_a_failing_stage_is_named_with_what_it_was_given():
    with pytest.raises(StageError) as error:
        rerank([[1, 2]], Failing(), k=1)
    assert str(error.value) == (
        "stage stage('failing') of unregistered, given Problem(1 queries × 2 items) and a ranking of shape (1, 1), "
        "failed: ValueError: no luck"
    )
    assert isinstance(error.value.__cause__, ValueError)


class Renaming(Stage):
    name = "renaming"

    def rerank(self, problem, ranking):
        return type(ranking)(ranking.indices, ranking.scores, gallery_size=99)


class Nothing(Stage):
    name = "nothing"

    def rescore(self, problem, ranking):
        return np.full(ranking.shape, np.nan)


def test_a_stage_that_changes_the_gallery_or_gives_nan_is_named():
    with pytest.raises(StageError, match=r"of unregistered, given .* must keep the ranking's ids and gallery size"):
        rerank([[1, 2]], Renaming())
    with pytest.raises(StageError, match=r"of unregistered, given .* failed: InputError: 'scores' must be finite"):
        rerank([[1, 2]], Nothing())


def test_a_first_ranking_of_another_problem_is_refused():
    problem = Problem([[1, 2]], gallery_ids=["a", "b"])
    with pytest.raises(
        InputError, match=r"'ranking' must be of the problem's \(1, 2\) queries and items \(got \(1, 3\)"
    ):
        Pipeline(["fuse"]).rerank(problem, Problem([[1, 2, 3]]).ranking())
    with pytest.raises(InputError, match="'ranking' must have the problem's gallery_ids"):
        Pipeline(["fuse"]).rerank(problem, Problem([[1, 2]], gallery_ids=["b", "a"]).ranking())


def test_a_stage_that_loses_candidates_is_refused():
    with pytest.raises(StageError, match="must return every candidate it was given once"):
        rerank([[1, 2]], Losing())


def test_bad_pipelines():
    with pytest.raises(InputError, match="'stages' must be a list of stages"):
        Pipeline("mutual-rank")
    with pytest.raises(InputError, match="'stages' must hold stages, names or pipelines"):
        Pipeline([3])
    with pytest.raises(InputError, match="parameters go with a stage's name"):
        rerank([[1]], stage("mutual-rank"), weight=2)


def test_k_larger_than_the_gallery_and_k_none():
    assert rerank([[1, 2, 3]], "mutual-rank", k=50).shape == (1, 3)
    assert rerank([[1, 2, 3]], "mutual-rank", k=None).shape == (1, 3)


# -- on disk -------------------------------------------------------------------------------------------------


def example() -> Pipeline:
    return stage("mutual-rank", weight=0.5).top(7) >> stage("fuse", sources=["scores", stage("mutual-rank")])


def test_yaml_round_trip():
    assert Pipeline.from_yaml(example().to_yaml()) == example()
    assert example().to_yaml().splitlines()[:5] == [
        "stages:",
        "- stage: mutual-rank",
        "  params:",
        "    weight: 0.5",
        "  top: 7",
    ]


def test_yaml_from_a_file_and_with_saved_stages(tmp_path):
    stage("mutual-rank", weight=0.25).save(tmp_path / "saved")
    (tmp_path / "pipeline.yaml").write_text("stages:\n- load: saved\n  top: 3\n- fuse\n")
    expected = stage("mutual-rank", weight=0.25).top(3) >> stage("fuse")
    assert Pipeline.from_yaml(tmp_path / "pipeline.yaml") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stages: [{stage: a: b}]", "is not YAML"),
        ("steps: []\n", "must hold one key, 'stages', with a list"),
        ("stages: [{name: fuse}]", "a stage is a name, or has 'stage' or 'load'"),
        ("stages: [{stage: fuse, k: 3}]", r"a stage has 'stage' or 'load', 'params' and 'top' \(got k too\)"),
        ("stages: [{stage: fuze}]", "unknown stage 'fuze'; did you mean 'fuse'"),
        ("nowhere.yaml", "pipeline file 'nowhere.yaml' does not exist"),
    ],
)
def test_bad_yaml(text, message):
    with pytest.raises(InputError, match=message):
        Pipeline.from_yaml(text)


def test_saving_and_loading(tmp_path):
    bank = distinct(3, 8)
    for made in (stage("mutual-rank", bank=bank), example().stages[0], example().stages[1], example()):
        made.save(tmp_path / "here")  # replaces what was there
        assert rerankit.load(tmp_path / "here") == made
    assert not list(tmp_path.glob(".rerankit-*"))


def test_a_bank_object_is_refused_and_nothing_is_left_behind(tmp_path):
    with pytest.raises(InputError, match="parameter 'bank' cannot be saved"):
        stage("mutual-rank", bank=rerankit.Bank(to_gallery=[[1]])).save(tmp_path / "here")
    assert not list(tmp_path.iterdir())


def test_a_pipeline_loads_clones_and_has_params_as_a_stage_does(tmp_path):
    example().save(tmp_path / "pipeline")
    assert Pipeline.load(tmp_path / "pipeline") == example()
    stage("fuse").save(tmp_path / "stage")
    with pytest.raises(InputError, match=r"holds stage\('fuse'\), not a Pipeline"):
        Pipeline.load(tmp_path / "stage")
    made = example()
    copy = made.clone()
    assert copy == made
    assert copy.stages[0] is not made.stages[0]
    assert Pipeline(**made.get_params()) == made
    assert made.clone(stages=["fuse"]) == Pipeline(["fuse"])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, "is not a saved stage: it has no config.json"),
        ("{", "is not JSON"),
        ("[]", "must hold 'stage' and 'params', or 'pipeline'"),
        (json.dumps({"format": 99, "stage": "fuse", "params": {}}), "has format 99, and this rerankit reads format 1"),
    ],
)
def test_bad_folders(tmp_path, config, message):
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    with pytest.raises(FormatError, match=message):
        rerankit.load(tmp_path)


def test_loading_as_another_class_is_refused(tmp_path):
    stage("fuse").save(tmp_path / "fuse")
    with pytest.raises(InputError, match="not a MutualRank"):
        type(stage("mutual-rank")).load(tmp_path / "fuse")


def test_damaged_arrays_are_refused(tmp_path):
    stage("mutual-rank", bank=np.ones((1, 2), np.float32)).save(tmp_path / "s")
    (tmp_path / "s" / "bank.safetensors").write_bytes(b"short")
    with pytest.raises(FormatError, match="is not a readable safetensors file"):
        rerankit.load(tmp_path / "s")


def test_a_stage_without_its_package_says_what_to_install() -> None:
    class Torchless(Stage):
        name = "torchless"

        def rescore(self, problem, ranking):
            raise ModuleNotFoundError("No module named 'transformers.models'", name="transformers.models")

    with pytest.raises(MissingExtraError, match=r"'torchless' needs the package 'transformers'.*rerankit\[triplet\]"):
        rerank([[0.1, 0.2]], Torchless())
