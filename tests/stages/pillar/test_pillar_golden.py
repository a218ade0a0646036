"""Agreement with the published implementation's numbers (tests/golden/README.md)."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import rerankit
from rerankit.errors import FormatError, InputError
from rerankit.stages.pillar import loss
from rerankit.stages.pillar.graph import neighbour_graph
from rerankit.stages.pillar.network import node_scores
from rerankit.stages.pillar.published import export_published, import_published
from rerankit.stages.pillar.relations import Relations
from rerankit.stages.pillar.representation import PillarSpace

CLOSE = {"atol": 1e-5, "rtol": 0.0}


@pytest.fixture
def numbers(golden):
    return load_file(golden / "leaprr.safetensors")


@pytest.fixture(params=["dense", "graph"])
def networks(golden, request):
    stage = import_published(golden / "leaprr_checkpoint.pth", heads=4, form=request.param)
    pair = stage.build()
    pair.load_state_dict({name: torch.tensor(array) for name, array in stage.get_weights().items()})
    return pair


@pytest.mark.parametrize("direction", ["i2t", "t2i"])
def test_nodes_scores_and_losses(numbers, networks, direction):
    x, target = numbers[f"x_{direction}"], numbers[f"target_{direction}"].float()
    nodes = networks[direction](x, numbers[f"A_{direction}"])
    scores = node_scores(nodes)
    torch.testing.assert_close(torch.nn.functional.normalize(nodes, dim=-1), numbers[f"node_{direction}"], **CLOSE)
    torch.testing.assert_close(scores, numbers[f"sim_{direction}"], **CLOSE)
    torch.testing.assert_close(scores[:, 1:], numbers[f"score_{direction}"], **CLOSE)
    found = {
        "contrastive": loss.contrastive(scores, target),
        "hinge": loss.hinge(scores, x[:, :, 0]),
        "triplet": loss.triplet(scores, target),
        "mse": loss.reconstruction(x, networks[direction].reconstruct(nodes)),
    }
    for name, values in found.items():
        torch.testing.assert_close(values.mean()[None], numbers[f"loss.{name}_{direction}"], **CLOSE)


def test_aligned_pass(numbers, networks):
    there = node_scores(networks["i2t"](numbers["x_t2i"], numbers["A_t2i"]))
    back = node_scores(networks["t2i"](numbers["x_i2t"], numbers["A_i2t"]))
    torch.testing.assert_close(there, numbers["align_sim_i2t"], **CLOSE)
    torch.testing.assert_close(back, numbers["align_sim_t2i"], **CLOSE)
    for ours, theirs in ((there, numbers["sim_t2i"]), (back, numbers["sim_i2t"])):
        expected = torch.nn.functional.kl_div(ours.log_softmax(1), theirs.softmax(1), reduction="batchmean")
        torch.testing.assert_close(loss.alignment(theirs, ours).mean(), expected, **CLOSE)


def test_no_golden_number_is_left_out(numbers):
    compared = {f"{name}_{way}" for way in ("i2t", "t2i") for name in ("node", "sim", "score", "align_sim")}
    compared |= {f"loss.{name}_{way}" for way in ("i2t", "t2i") for name in ("contrastive", "hinge", "triplet", "mse")}
    given = {f"{name}_{way}" for way in ("i2t", "t2i") for name in ("x", "A", "target")}
    assert numbers.keys() == compared | given


@pytest.mark.parametrize("direction", ["i2t", "t2i"])
def test_graphs(golden, direction):
    told = json.loads((golden / "leaprr_graph.json").read_text())
    given = load_file(golden / "leaprr_graph.safetensors")
    problem = rerankit.Problem(given["i2t"], query_scores=given["i2i"], gallery_scores=given["t2t"])
    # The published threshold is 0.8 over the published node count, whatever K is here.
    problem, threshold = (problem, 0.8 / 32) if direction == "i2t" else (problem.reversed(), 0.8 / 8)
    candidates = problem.ranking(told[f"candidates_{direction}"]).indices
    space = PillarSpace.of(Relations.of(problem), pillars=4, neighbours=told["neighbours"])
    lists = space.lists(np.arange(len(candidates)), candidates)
    graph = neighbour_graph((torch.from_numpy(lists[0]), torch.from_numpy(lists[1])), threshold)
    torch.testing.assert_close(graph, given[f"A_{direction}"].float(), **CLOSE)


def test_import_reads_sizes_from_shapes(golden):
    stage = import_published(golden / "leaprr_checkpoint.pth", heads=4, candidates=(5, 3))
    assert repr(stage) == "stage('pillar', candidates=(5, 3), pillars=8, width=24, heads=4)"
    assert stage.directions == ("i2t", "t2i")


LAYOUTS = [{"groups": "intra-inter"}, {"query": "last"}, {"groups": "intra-inter", "query": "last"}]


@pytest.mark.parametrize("layout", [{}, *LAYOUTS])
def test_export_and_import_are_exact(golden, tmp_path, layout):
    stage = import_published(golden / "leaprr_checkpoint.pth", heads=4)
    export_published(stage, tmp_path / "out.pth", epoch=2, recall={"r1": 1.0}, **layout)
    assert import_published(tmp_path / "out.pth", heads=4, **layout) == stage
    original = torch.load(golden / "leaprr_checkpoint.pth", weights_only=True)
    exported = torch.load(tmp_path / "out.pth", weights_only=True)
    assert (exported["epoch"], exported["recall"]) == (2, {"r1": 1.0})
    assert exported["state_dict"].keys() == original["state_dict"].keys()
    same = [torch.equal(tensor, original["state_dict"][name]) for name, tensor in exported["state_dict"].items()]
    assert all(same) == (not layout)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_checkpoint_of_another_layout_scores_its_inputs_the_same(golden, numbers, layout):
    """Feeding columns in the checkpoint's own order to its weights equals our order with re-ordered weights."""
    theirs = import_published(golden / "leaprr_checkpoint.pth", heads=4).build()
    theirs.load_state_dict(torch.load(golden / "leaprr_checkpoint.pth", weights_only=True)["state_dict"])
    ours = import_published(golden / "leaprr_checkpoint.pth", heads=4, **layout)
    network = ours.build()
    network.load_state_dict({name: torch.tensor(array) for name, array in ours.get_weights().items()})
    x = numbers["x_i2t"]  # in our layout: inter before intra, the query first
    halves = [half.roll(-1, dims=-1) if "query" in layout else half for half in x.split(8, dim=-1)]
    turned = torch.cat(halves[::-1] if "groups" in layout else halves, dim=-1)
    graph = numbers["A_i2t"]
    torch.testing.assert_close(network["i2t"](x, graph), theirs["i2t"](turned, graph), atol=1e-5, rtol=1e-5)


def test_a_checkpoint_of_one_direction(golden, tmp_path):
    payload = torch.load(golden / "leaprr_checkpoint.pth", weights_only=True)
    payload["state_dict"] = {f"module.{k}": v for k, v in payload["state_dict"].items() if "t2i" in k}
    torch.save(payload, tmp_path / "one.pth")
    stage = import_published(tmp_path / "one.pth", heads=4)
    assert (stage.direction, stage.both, stage.directions) == ("t2i", False, ("t2i",))
    export_published(stage, tmp_path / "again.pth")
    assert import_published(tmp_path / "again.pth", heads=4) == stage


class Surprise:
    def __reduce__(self):
        return print, ("code ran",)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"state_dict": {"fc.weight": torch.ones(2)}}, "is not a pillar checkpoint: it has no model_i2t"),
        ({"state_dict": [1]}, r"must hold names and tensors \(got list\)"),
        ([1, 2], r"must hold names and tensors \(got list\)"),
        (Surprise(), "which is not data and never run"),
        ({"state_dict": {"a": torch.eye(2).to_sparse()}}, "which is not data and never run"),
        ({"state_dict": {"a": torch.tensor(torch.nan)}}, r"must hold finite numbers \(got others in a\)"),
    ],
)
def test_other_files_are_refused(tmp_path, payload, message, capsys):
    torch.save(payload, tmp_path / "other.pth")
    with pytest.raises(FormatError, match=message):
        import_published(tmp_path / "other.pth")
    assert "code ran" not in capsys.readouterr().out


def test_incomplete_and_unreadable_checkpoints(golden, tmp_path):
    payload = torch.load(golden / "leaprr_checkpoint.pth", weights_only=True)
    payload["state_dict"].pop("model_t2i.blocks.1.attn.proj.bias")
    payload["state_dict"]["model_i2t.extra"] = torch.ones(1)
    torch.save(payload, tmp_path / "cut.pth")
    with pytest.raises(FormatError, match=r"model_t2i.blocks.1.attn.proj.bias is missing; model_i2t.extra is unknown"):
        import_published(tmp_path / "cut.pth", heads=4)
    for name in ("ln.weight", "feature_align.layers.0.bias", "blocks.0.attn.qkv.weight"):
        payload = torch.load(golden / "leaprr_checkpoint.pth", weights_only=True)
        payload["state_dict"][f"model_i2t.{name}"] = torch.ones(3)
        torch.save(payload, tmp_path / "odd.pth")
        with pytest.raises(FormatError, match=rf"model_i2t.{name} has shape \(3,\), not"):
            import_published(tmp_path / "odd.pth", heads=4, groups="intra-inter")
    whole = (golden / "leaprr_checkpoint.pth").read_bytes()
    for end in (0, 1, 100, len(whole) // 2, len(whole) - 30):
        (tmp_path / "short.pth").write_bytes(whole[:end])
        with pytest.raises(FormatError, match=r"is empty|not a checkpoint|not a zip file"):
            import_published(tmp_path / "short.pth", heads=4)
    with pytest.raises(InputError, match="'heads' must be given"):
        import_published(golden / "leaprr_checkpoint.pth")
    with pytest.raises(InputError, match="'heads' must divide the width, 24"):
        import_published(golden / "leaprr_checkpoint.pth", heads=5)
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(FormatError, match="not a checkpoint of tensors and plain values"):
        import_published(tmp_path / "text.pth")
    with pytest.raises(FormatError, match="no such checkpoint"):
        import_published(tmp_path / "absent.pth")
    with pytest.raises(InputError, match="must be fitted to be exported"):
        export_published(rerankit.stage("pillar"), tmp_path / "x.pth")
