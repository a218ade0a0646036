"""Published files in and out, plain BLIP as a start, and what is refused."""

from __future__ import annotations

import pickle

import pytest
import torch

from rerankit.errors import FormatError, InputError
from rerankit.stages.triplet import checkpoint
from rerankit.stages.triplet.config import TripletConfig
from rerankit.stages.triplet.filter import Filter

TINY = TripletConfig(
    vocabulary=40,
    hidden=16,
    layers=3,
    heads=2,
    intermediate=32,
    positions=12,
    width=16,
    projection=8,
    merge_from=2,
    image_size=16,
    patch_size=8,
    vision_layers=2,
    vision_heads=2,
    vision_intermediate=32,
)


@pytest.mark.parametrize("stage", [1, 2])
def test_a_published_file_comes_back_the_same(golden, tmp_path, stage):
    load = {1: checkpoint.load_filter, 2: checkpoint.load_dual}[stage]
    key = {1: checkpoint.FILTER_KEY, 2: checkpoint.DUAL_KEY}[stage]
    checkpoint.export(load(golden / f"cir_stage{stage}.pt", heads=4), tmp_path / "out.pt", key)
    ours = torch.load(tmp_path / "out.pt", weights_only=True)
    theirs = torch.load(golden / f"cir_stage{stage}.pt", weights_only=True)
    assert ours.keys() == theirs.keys()
    assert ours[key].keys() == theirs[key].keys()
    for name, value in theirs[key].items():
        torch.testing.assert_close(ours[key][name], value, rtol=0, atol=0)


def test_image_encoder_travels_under_its_published_names(tmp_path):
    network = Filter(TINY).eval()
    checkpoint.export(network, tmp_path / "out.pt", checkpoint.FILTER_KEY)
    names = torch.load(tmp_path / "out.pt", weights_only=True)["BLIP_Retrieval"]
    assert "visual_encoder.blocks.1.attn.qkv.weight" in names
    assert {
        "visual_encoder.cls_token",
        "visual_encoder.pos_embed",
        "visual_encoder.norm.bias",
    } <= names.keys()
    again = checkpoint.load_filter(tmp_path / "out.pt", heads=2).eval()
    assert again.config.image_size == 16
    assert again.config.vision_layers == 2
    pixels = torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(
            *(one.visual_encoder(pixel_values=pixels).last_hidden_state for one in (again, network)), rtol=0, atol=0
        )


def blip_retrieval():
    """A randomly initialised BLIP retrieval model of transformers, of the tiny sizes."""
    from transformers import BlipConfig, BlipForImageTextRetrieval

    text = {
        "vocab_size": 40,
        "hidden_size": 16,
        "encoder_hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "max_position_embeddings": 12,
        "bos_token_id": 1,
        "sep_token_id": 2,
    }
    vision = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 16,
        "patch_size": 8,
    }
    return BlipForImageTextRetrieval(BlipConfig(text_config=text, vision_config=vision, image_text_hidden_size=8))


def test_stage_two_begins_the_same_way_each_time(sizes):
    network = Filter(sizes)
    before = torch.random.get_rng_state()
    first, again = (checkpoint.dual_from_filter(network).state_dict() for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    for name, value in first.items():
        assert torch.equal(value, again[name]), name
    other = checkpoint.dual_from_filter(network, seed=1).state_dict()
    assert any(not torch.equal(value, other[name]) for name, value in first.items())


def test_stages_start_from_plain_blip(tmp_path):
    blip = blip_retrieval()
    torch.save(blip.state_dict(), tmp_path / "blip.pt")
    network = checkpoint.load_filter(tmp_path / "blip.pt", heads=2)
    theirs = blip.text_encoder.state_dict()
    for name, value in network.text_encoder.state_dict().items():
        torch.testing.assert_close(value, theirs[name])
    dual = checkpoint.dual_from_filter(network)
    ours = dual.state_dict()
    for stream in "01":
        for place in ("attention", "crossattention"):
            mine = f"encoder.layer.2.{place}.self{stream}.key.weight"
            torch.testing.assert_close(ours[f"text_encoder.{mine}"], theirs[mine.replace(f"self{stream}", "self")])
    assert torch.equal(
        ours["text_encoder.encoder.layer.1.attention.output.LayerNormA.weight"],
        theirs["encoder.layer.1.attention.output.LayerNorm.weight"],
    )
    merged = dual.text_encoder.encoder.layer
    assert merged[1].crossattention.output.merge_layer is not None or dual.config.merge_from == 6
    from rerankit.stages.triplet.checkpoint import _mean_layer

    x = torch.rand(5, 16)
    torch.testing.assert_close(torch.cat([x, 3 * x], 1) @ _mean_layer(torch.zeros(16, 32)).T, 2 * x)


def test_a_file_that_runs_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return print, ("ran",)

    (tmp_path / "evil.pt").write_bytes(pickle.dumps({"BLIP_NLVR": Evil()}))
    with pytest.raises(FormatError, match=r"names 'builtins\.print', which is not data and never run"):
        checkpoint.load_dual(tmp_path / "evil.pt")


def test_wrong_files_say_what_is_wrong(golden, tmp_path):
    with pytest.raises(FormatError, match="no such checkpoint"):
        checkpoint.load_dual(tmp_path / "absent.pt")
    with pytest.raises(FormatError, match="'BLIP_NLVR'"):
        checkpoint.load_dual(golden / "cir_stage1.pt", heads=4)
    with pytest.raises(InputError, match="'heads' must divide 32"):
        checkpoint.load_dual(golden / "cir_stage2.pt")
    weights = checkpoint.read_weights(golden / "cir_stage1.pt", "BLIP_Retrieval")
    del weights["text_proj.bias"]
    with pytest.raises(FormatError, match=r"not one of this stage: text_proj\.bias is missing"):
        checkpoint.filter_from_weights(weights, heads=4)
    weights["text_proj.bias"] = torch.zeros(3)
    with pytest.raises(FormatError, match=r"text_proj\.bias has shape \(3,\), not \(16,\)"):
        checkpoint.filter_from_weights(weights, heads=4)
