from __future__ import annotations

import json

import numpy as np
import pytest

import rerankit
from rerankit import Looks, Pipeline, Problem, Stage, rerank, stage
from rerankit.errors import FormatError, InputError, MissingExtraError, RerankitError, StageError, UnmetNeedError
from rerankit.formats.safetensors import SafetensorsFormat
from rerankit.plugins import manager
from rerankit.reading import parse_yaml
from strategies import distinct


class Failing(Stage):
    name = "failing"

    def rescore(self, problem, ranking):
        raise ValueError("no luck")


class Losing(Stage):
    name = "losing"

    def reorder(self, problem, ranking):
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
    assert result.notes["looks_at"] == Looks(queries=True)
    assert len(result.notes["seconds"]) == 2


def test_a_reversed_pipeline_turns_the_stages_that_have_sides():
    made = stage("mutual-rank") >> stage("fuse", sources=["scores", stage("consensus", voters="gallery")]).top(3)
    turned = made.reversed()
    assert repr(turned) == (
        "Pipeline([stage('mutual-rank'), stage('fuse', sources=['scores', stage('consensus', voters='query')]).top(3)])"
    )
    assert turned.reversed() == made
    assert turned.stages[0] is made.stages[0]


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
        "give Problem(…, gallery_features={'regions': …}), one entry for each item"
    )


def test_an_unknown_need_is_an_error():
    class Odd(Stage):
        name = "odd"
        needs = ("query_scroes",)

    with pytest.raises(InputError, match="unknown need 'query_scroes'; did you mean 'query_scores'"):
        rerank([[1]], Odd())


def test_a_stage_without_a_name_or_with_needs_as_text_is_refused_before_it_runs(tmp_path):
    class Nameless(Stage):
        pass

    class Spelt(Stage):
        name = "spelt"
        needs = "query_scores"

    for made in (Nameless(), Nameless().top(1)):
        with pytest.raises(InputError, match="stage class Nameless must have a 'name'"):
            rerank([[1]], made)
    with pytest.raises(InputError, match="Nameless must have a 'name' to be saved"):
        Nameless().save(tmp_path / "nameless")
    with pytest.raises(InputError, match=r"'needs' of stage 'spelt' must be a tuple of texts \(got the text"):
        rerank([[1]], Spelt())


def test_a_parameter_that_is_not_stored_is_named():
    class Forgetful(Stage):
        name = "forgetful"

        def __init__(self, weight=1.0, depth=2):
            self.depth, self.strength = depth, weight

    for used in (repr, Forgetful.get_params, lambda made: rerank([[1]], made)):
        with pytest.raises(InputError, match=r"Forgetful.__init__ must store .* own names \(got no self.weight\)"):
            used(Forgetful())


def test_large_arrays_are_told_by_their_shape():
    assert repr(stage("csls", bank=np.ones((4, 30)))) == "stage('csls', bank=<float64 array of shape (4, 30)>)"
    assert repr(stage("fuse", weights=np.array([1, 2]))) == "stage('fuse', weights=array([1, 2]))"


def test_a_failing_stage_is_named_with_what_it_was_given():
    with pytest.raises(StageError) as error:
        rerank([[1, 2]], Failing(), k=1)
    assert str(error.value) == (
        "stage('failing') of unregistered, given Problem(1 queries × 2 items) and a ranking of shape (1, 1), "
        "failed: ValueError: no luck"
    )
    assert isinstance(error.value.__cause__, ValueError)


class Renaming(Stage):
    name = "renaming"

    def reorder(self, problem, ranking):
        return type(ranking)(ranking.indices, ranking.scores, gallery_size=99)


class Nothing(Stage):
    name = "nothing"

    def rescore(self, problem, ranking):
        return np.full(ranking.shape, np.nan)


def test_a_stage_that_changes_the_gallery_or_gives_nan_is_named():
    with pytest.raises(StageError, match=r"of unregistered, given .* must keep the ranking's ids and gallery size"):
        rerank([[1, 2]], Renaming())
    with pytest.raises(
        StageError, match=r"of unregistered, given .* failed: NotFiniteError: 'scores' must be finite"
    ) as error:
        rerank([[1, 2]], Nothing())
    assert "exclude=" not in str(error.value)  # which is for what is handed in


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
    with pytest.raises(InputError, match=r"'how' must be joined: rerankit.Pipeline\(\[…\]\) \(got \['csls'\]\)"):
        rerank([[1]], ["csls"])
    with pytest.raises(InputError, match=r"'how' must be a stage's name, a stage or a pipeline .*array of shape"):
        rerank([[1]], np.zeros((9, 9)))
    with pytest.raises(InputError, match="parameters go with a stage's name"):
        rerank([[1]], stage("mutual-rank"), weight=2)


def test_k_larger_than_the_gallery_and_k_none():
    assert rerank([[1, 2, 3]], "fuse", k=50).shape == (1, 3)
    assert rerank([[1, 2, 3]], "fuse", k=None).shape == (1, 3)


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
        ("stages: [{name: fuse}]", "a stage is a name, or has 'stage', 'stages' or 'load'"),
        ("stages: [{stage: fuse, k: 3}]", r"a stage has 'stage' or 'load', 'params' and 'top' \(got k too\)"),
        ("stages: [{stage: fuze}]", "unknown stage 'fuze'; did you mean 'fuse'"),
        ("nowhere.yaml", "nowhere.yaml: no such pipeline file"),
        ("C:/nowhere.yaml", "C:/nowhere.yaml: no such pipeline file"),
        ("stages: [{stage: fuse, params: [1]}]", r"'params' of stage 'fuse' must have texts as keys \(got \[1\]\)"),
        ("stages: [{stage: fuse, params: 5}]", "must have texts as keys"),
        ("stages: [{stage: fuse, params: 0}]", "must have texts as keys"),
        ("stages: [{stage: fuse, params: {1: 2}}]", "must have texts as keys"),
        ("stages: [{stages: fuse}]", r"'stages' must be a list \(got 'fuse'\)"),
        ("stages: [{stages: [fuse], params: {k: 3}}]", "'params' goes with 'stage'"),
        ("stages: [{load: 3}]", r"'stage' and 'load' must be a text \(got 3\)"),
        ("stages: [{stage: 3}]", r"'stage' and 'load' must be a text \(got 3\)"),
        ("stages: [{stage: fuse, params: {sources: &a [*a]}}]", "an anchor holds itself"),
        ("stages: [2020-13-45]", "is not YAML"),
        (3, "'source' must be YAML text or a path"),
    ],
)
def test_bad_yaml(text, message):
    with pytest.raises(InputError, match=message):
        Pipeline.from_yaml(text)


def test_yaml_files_that_are_no_text(tmp_path):
    (tmp_path / "latin.yaml").write_bytes(b"stages: [fus\xe9]")
    with pytest.raises(FormatError, match="must be UTF-8 text"):
        Pipeline.from_yaml(tmp_path / "latin.yaml")


def test_pipelines_inside_yaml(tmp_path):
    inner = Pipeline(["mutual-rank", stage("fuse", method="rrf")])
    made = inner.top(3) >> stage("fuse", sources=["scores", inner]) >> stage("auto", chosen=inner)
    assert made.to_yaml().startswith("stages:\n- stages:\n  - stage: mutual-rank\n")
    assert Pipeline.from_yaml(made.to_yaml()) == made
    inner.save(tmp_path / "saved")
    (tmp_path / "top.yaml").write_text("stages: [{load: saved, top: 3}]")
    assert Pipeline.from_yaml(tmp_path / "top.yaml") == Pipeline([inner.top(3)])
    made.save(tmp_path / "made")
    assert Pipeline.load(tmp_path / "made") == made


def test_numbers_with_an_exponent_and_texts_that_look_like_one():
    assert Pipeline.from_yaml("stages: [{stage: mutual-rank, params: {weight: 1e-3}}]") == Pipeline(
        [stage("mutual-rank", weight=0.001)]
    )
    assert [parse_yaml(text) for text in ("1e3", "-.5E2", "+2.e-1", "1e", "e3", "12", "1.5")] == [
        1000.0, -50.0, 0.2, "1e", "e3", 12, 1.5,
    ]  # fmt: skip
    made = stage("mutual-rank", weight=1e-5) >> stage("fuse", sources=["scores", "1e-3"], weights=np.array([1, 2]))
    with pytest.raises(InputError, match=r"'weights' cannot be written as YAML \(got ndarray\): give a list"):
        made.to_yaml()
    made = stage("mutual-rank", weight=1e-5) >> stage("fuse", sources=["scores", "1e-3"], weights=[np.float64(1), 2])
    assert Pipeline.from_yaml(made.to_yaml()) == made


def test_a_top_of_a_top_keeps_both(tmp_path):
    made = Pipeline([stage("fuse").top(5).top(10).top(2)])
    assert Pipeline.from_yaml(made.to_yaml()) == made
    made.save(tmp_path / "tops")
    assert Pipeline.load(tmp_path / "tops") == made


def test_arrays_as_parameters_are_not_taken_for_weights(tmp_path):
    made = stage("fuse", weights=np.array([1.0, 2.0]))
    made.save(tmp_path / "fuse")
    assert sorted(path.name for path in (tmp_path / "fuse").iterdir()) == ["config.json", "param-weights.safetensors"]
    assert rerankit.load(tmp_path / "fuse") == made


class Holding(Stage):
    name = "holding"

    def __init__(self, what=None):
        self.what = what


@pytest.fixture
def holding():
    class Plugin:
        @rerankit.hookimpl
        def rerankit_register_stages(self, register):
            register("holding", Holding)

    manager().register(Plugin(), "holding")
    yield
    manager().unregister("holding")


@pytest.mark.usefixtures("holding")
def test_parameters_whose_files_would_have_one_name(tmp_path):
    one, two, three = (np.full(2, value) for value in (1, 2, 3))
    made = Holding(
        {
            "a": {"b-c": one},
            "a-b": {"c": two},
            "../up": three,
            "d": stage("fuse"),
            "e/f": [stage("top", stage=stage("fuse"), candidates=1)],
        }
    )
    made.save(tmp_path / "room" / "held")
    assert rerankit.load(tmp_path / "room" / "held") == made
    assert [path.name for path in (tmp_path / "room").iterdir()] == ["held"]
    for key in (1, "$array"):
        with pytest.raises(InputError, match=r"its keys must be texts not beginning with \$"):
            Holding({key: one}).save(tmp_path / "bad")


@pytest.mark.usefixtures("holding")
@pytest.mark.parametrize("shape", [(), (1,), (0, 2)])
def test_an_array_parameter_keeps_its_shape(tmp_path, shape):
    Holding(np.ones(shape, np.float32)).save(tmp_path / "s")
    assert rerankit.load(tmp_path / "s").what.shape == shape


@pytest.mark.parametrize("place", ["file", "file/below", "."])
def test_places_that_cannot_be_saved_to(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError):
        stage("fuse").save(place)
    assert (tmp_path / "file").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_saving_and_loading(tmp_path):
    bank = distinct(3, 8)
    for made in (stage("mutual-rank", bank=bank), example().stages[0], example().stages[1], example()):
        made.save(tmp_path / "here", overwrite=True)
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
        ("{", "not JSON"),
        pytest.param("[" * 100_000, "at most 100 lists and objects in each other", id="deep"),
        ("[]", "must hold a dict"),
        *(
            (text, "must hold 'stage' and 'params', or 'pipeline'")
            for text in (
                '{"stage": "fuse", "params": []}',
                '{"stage": ["a"], "params": {}}',
                '{"pipeline": [3]}',
                '{"pipeline": "ab"}',
            )
        ),
        *(
            (
                json.dumps({"format": 1, "stage": "fuse", "params": {"weights": {kind: name}}}),
                "must name what lies dire",
            )
            for kind in ("$stage", "$array")
            for name in (".", "..", "", "../tt", "/etc", "a/b", "a\\b", 3, ["a"])
        ),
        *((json.dumps({"format": 1, "pipeline": [name]}), "must name what lies directly") for name in (".", "../tt")),
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


def without_checksums(folder):
    """Make a saved stage one that was written by hand."""
    config = json.loads((folder / "config.json").read_text())
    del config["files"]
    (folder / "config.json").write_text(json.dumps(config))


def test_damaged_arrays_are_refused(tmp_path):
    stage("mutual-rank", bank=np.ones((1, 2), np.float32)).save(tmp_path / "s")
    (tmp_path / "s" / "param-bank.safetensors").write_bytes(b"short")
    with pytest.raises(FormatError, match="is not what was written"):
        rerankit.load(tmp_path / "s")
    without_checksums(tmp_path / "s")
    with pytest.raises(FormatError, match="is not a readable safetensors file"):
        rerankit.load(tmp_path / "s")


def test_weights_that_do_not_fit_and_links_to_the_outside_are_refused(tmp_path):
    stage("fuse").save(tmp_path / "s")
    SafetensorsFormat().write(tmp_path / "s" / "weights.safetensors", {"a": np.ones(2)})
    with pytest.raises(RerankitError, match="has no weights to set"):
        rerankit.load(tmp_path / "s")
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "config.json").write_text(json.dumps({"format": 1, "pipeline": ["loop"]}))
    (tmp_path / "p" / "loop").symlink_to(".")
    with pytest.raises(FormatError, match=r"must be a folder in .*, not a link"):
        rerankit.load(tmp_path / "p")


@pytest.mark.usefixtures("holding")
def test_an_array_file_with_other_things_in_it(tmp_path):
    Holding(np.ones(2)).save(tmp_path / "s")
    SafetensorsFormat().write(tmp_path / "s" / "param-what.safetensors", {"other": np.ones(2)})
    without_checksums(tmp_path / "s")
    with pytest.raises(FormatError, match=r"must hold one array named 'array' \(got other\)"):
        rerankit.load(tmp_path / "s")


def test_a_stage_without_its_package_says_what_to_install() -> None:
    class Torchless(Stage):
        name = "torchless"

        def rescore(self, problem, ranking):
            raise ModuleNotFoundError("No module named 'transformers.models'", name="transformers.models")

    with pytest.raises(MissingExtraError, match=r"'torchless' needs .* 'transformers'.*rerankit\[transformers\]"):
        rerank([[0.1, 0.2]], Torchless())


def test_what_yaml_loads_takes_parameters(tmp_path):
    stage("nnn", alpha=0.5, neighbours=3).save(tmp_path / "saved")
    Pipeline(["csls"]).save(tmp_path / "several")
    file = tmp_path / "pipeline.yaml"
    file.write_text("stages: [{load: saved, params: {alpha: 0.25}, top: 5}]")
    assert Pipeline.from_yaml(file) == Pipeline([stage("nnn", alpha=0.25, neighbours=3).top(5)])
    file.write_text("stages: [{load: saved, params: {nonsense: 1}}]")
    with pytest.raises(InputError, match="stage 'nnn' has no parameter nonsense"):
        Pipeline.from_yaml(file)
    file.write_text("stages: [{load: several, params: {alpha: 1}}]")
    with pytest.raises(FormatError, match="'params' goes with a stage, and 'several' is a pipeline"):
        Pipeline.from_yaml(file)


def test_seconds_have_the_work_before_the_candidates_are_known(monkeypatch):
    class OneSecond:
        seconds = 1.0

    monkeypatch.setattr("rerankit.pipelines.pipeline.Stopwatch", OneSecond)
    vectors = np.random.default_rng(0).normal(size=(15, 4))
    problem = Problem.from_embeddings(vectors[:6], vectors[6:])
    assert rerank(problem, stage("sinkhorn") >> stage("fuse")).notes["seconds"] == [2.0, 1.0]
    assert rerank(problem, stage("fuse") >> stage("sinkhorn")).notes["seconds"] == [1.0, 1.0]
