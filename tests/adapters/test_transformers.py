"""Pictures and captions as a problem, with real small models of random weights."""

from __future__ import annotations

import os

import numpy as np
import pytest

import rerankit
from rerankit.errors import InputError

torch = pytest.importorskip("torch")
library = pytest.importorskip("transformers")
image = pytest.importorskip("PIL.Image")

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "red", "blue", "green", "square", "on", "grey"]
COLOURS = {"red": (200, 20, 20), "blue": (20, 20, 200), "green": (20, 200, 20)}
CAPTIONS = {"c1": "a red square", "c2": "a blue square on grey", "c3": "green", "c4": "a square"}
SMALL = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
TEXT = {**SMALL, "vocab_size": len(WORDS), "max_position_embeddings": 6, "pad_token_id": 0, "eos_token_id": 3}
VISION = {**SMALL, "image_size": 8, "patch_size": 4}


def tokenizer():
    """[CLS] words [SEP]."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    made = Tokenizer(models.WordLevel({word: row for row, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return library.PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_input_names=["input_ids", "attention_mask"],
    )


def processor():
    size = {"height": 8, "width": 8}
    return library.CLIPProcessor(library.CLIPImageProcessor(size=size, crop_size=size), tokenizer())


def clip(seed=0):
    torch.manual_seed(seed)
    return library.CLIPModel(library.CLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=8)).eval()


def siglip():
    torch.manual_seed(0)
    return library.SiglipModel(library.SiglipConfig(text_config=TEXT, vision_config=VISION)).eval()


def blip():
    torch.manual_seed(0)
    text = {**TEXT, "encoder_hidden_size": 16, "bos_token_id": 2, "sep_token_id": 3}
    config = library.BlipConfig(text_config=text, vision_config=VISION, image_text_hidden_size=8)
    return library.BlipForImageTextRetrieval(config).eval()


@pytest.fixture
def pictures(tmp_path):
    """A folder with squares, one of them in a folder inside, and what is no picture."""
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    for name, colour in COLOURS.items():
        drawn = image.new("RGB", (12, 10), (128, 128, 128))
        drawn.paste(colour, (2, 2, 8, 8))
        drawn.save(folder / ("more/green.PNG" if name == "green" else f"{name}.png"))
    (folder / "notes.txt").write_text("no picture")
    (folder / "._red.png").write_text("what a Mac leaves behind")
    return folder


def cosines(pictures, texts):
    unit = [torch.nn.functional.normalize(each.detach(), dim=-1).numpy() for each in (pictures, texts)]
    return unit[0] @ unit[1].T


def of(found):
    return getattr(found, "pooler_output", found)


def read(folder, padding=True):
    """What the processor makes of the same pictures and texts, all at once."""
    opened = [image.open(folder / name).convert("RGB") for name in ("blue.png", "more/green.PNG", "red.png")]
    made = processor()
    words = made(text=list(CAPTIONS.values()), padding=padding, truncation=True, max_length=6, return_tensors="pt")
    return made(images=opened, return_tensors="pt"), words


def problem_of(*given, **options):
    from rerankit.adapters.transformers import problem_of

    return problem_of(*given, device="cpu", **options)


def test_a_folder_and_captions_become_a_problem(pictures):
    model = clip()
    problem = problem_of(model, pictures, CAPTIONS, processor=processor(), batch_size=2)
    seen, words = read(pictures)
    expected = cosines(of(model.get_image_features(**seen)), of(model.get_text_features(**words)))
    np.testing.assert_allclose(problem.scores.rows(), expected, atol=1e-6)
    assert np.ptp(expected) > 1e-3, "pictures and texts that are all alike would prove nothing"
    assert problem.query_ids.tolist() == ["blue.png", "more/green.PNG", "red.png"]
    assert problem.gallery_ids.tolist() == list(CAPTIONS)
    assert [path.name for path in problem.query_features["images"]] == ["blue.png", "green.PNG", "red.png"]
    assert list(problem.gallery_features["text"]) == list(CAPTIONS.values())
    assert problem.query_scores is not None
    searched = rerankit.rerank(problem.reversed(), "k-reciprocal")
    assert searched.shape == (4, 3)


def test_siglip_reads_texts_of_full_length(pictures):
    model = siglip()
    problem = problem_of(model, pictures, CAPTIONS, processor=processor(), batch_size=1)
    seen, words = read(pictures, "max_length")
    expected = cosines(of(model.get_image_features(**seen)), of(model.get_text_features(**words)))
    np.testing.assert_allclose(problem.scores.rows(), expected, atol=1e-6)


def test_blip_compares_as_its_own_retrieval_does(pictures):
    model = blip()
    problem = problem_of(model, pictures, CAPTIONS, processor=processor())
    seen, words = read(pictures)
    with torch.inference_mode():
        expected = model(**seen, **words, use_itm_head=False).itm_score
    np.testing.assert_allclose(problem.scores.rows(), expected.numpy(), atol=1e-6)


def test_banks_are_encoded_as_their_side_is(pictures):
    bank = {"picture_bank": [pictures / "red.png"], "text_bank": ["a red square", "green"]}
    problem = problem_of(clip(), pictures, CAPTIONS, processor=processor(), **bank)
    whole = problem.scores.rows()
    np.testing.assert_allclose(problem.query_bank.to_gallery.rows(), whole[[2]], atol=1e-6)
    np.testing.assert_allclose(problem.reversed().query_bank.to_gallery.rows(), whole[:, [0, 2]].T, atol=1e-6)


def test_models_in_folders(pictures, tmp_path):
    for name, model in (("clip", clip()), ("blip", blip())):
        model.save_pretrained(tmp_path / name)
        processor().save_pretrained(tmp_path / name)
        there = problem_of(tmp_path / name, pictures, CAPTIONS)
        here = problem_of(model, pictures, CAPTIONS, processor=str(tmp_path / name))
        np.testing.assert_array_equal(there.scores.rows(), here.scores.rows())
    half = clip()
    half.save_pretrained(
        tmp_path / "clip", state_dict={name: each for name, each in half.state_dict().items() if "vision" not in name}
    )
    with pytest.raises(InputError, match="'model' must have all weights of a CLIPModel"):
        problem_of(tmp_path / "clip", pictures, CAPTIONS)
    with pytest.raises(InputError, match="'model' must be a folder or a name on the hub"):
        problem_of(tmp_path / "pictures", pictures, CAPTIONS)


def test_a_picture_is_encoded_once_until_its_file_or_the_model_changes(pictures, tmp_path):
    calls = []

    def found(model, read=None, **options):
        """The problem's scores, and how many pictures the model was handed for them."""
        calls.clear()
        hook = model.vision_model.register_forward_pre_hook(
            lambda _, given, named: calls.append(len(named["pixel_values"])), with_kwargs=True
        )
        made = problem_of(model, pictures, CAPTIONS, processor=read or processor(), **options)
        hook.remove()
        return made.scores.rows(), sum(calls)

    cached = {"cache": tmp_path / "cache"}
    plain, _ = found(clip())
    first, handed = found(clip(), **cached)
    again, none = found(clip(), **cached)
    assert (handed, none) == (3, 0)
    np.testing.assert_array_equal(plain, first)
    np.testing.assert_array_equal(plain, again)

    image.new("RGB", (12, 10), (250, 250, 0)).save(pictures / "red.png")
    changed, handed = found(clip(), **cached)
    assert handed == 1
    np.testing.assert_array_equal(changed[:2], plain[:2])
    assert np.abs(changed[2] - plain[2]).max() > 1e-4
    assert found(clip(seed=1), **cached)[1] == 3
    other = processor()
    other.image_processor.image_mean = [0.0, 0.0, 0.0]
    assert found(clip(), other, **cached)[1] == 3


def test_ids_by_hand_and_pictures_in_memory(pictures):
    paths = {"one": pictures / "red.png", "two": os.fspath(pictures / "blue.png")}
    assert problem_of(clip(), paths, CAPTIONS, processor=processor()).query_ids.tolist() == ["one", "two"]
    listed = problem_of(clip(), list(paths.values()), ["a square"], processor=processor())
    assert listed.query_ids.tolist() == ["red.png", "blue.png"]
    assert listed.gallery_ids is None
    opened = [image.open(path) for path in paths.values()]
    inside = problem_of(clip(), opened, ["a square"], processor=processor())
    assert inside.query_ids is None
    np.testing.assert_array_equal(inside.scores.rows(), listed.scores.rows())


def test_what_is_wrong_is_said(pictures):
    read = processor()
    red = pictures / "red.png"
    for given, texts, said in (
        (pictures / "nothing", CAPTIONS, "'pictures' must be a folder, a list of pictures"),
        ([pictures / "nothing.png"], CAPTIONS, "'pictures' must be files that exist .*nothing.png"),
        ([red, red], CAPTIONS, "'pictures' with equal names of files must be {id: path} .*red.png"),
        ([], CAPTIONS, "'pictures' must be a list, or"),
        (pictures, "a red square", "'texts' must be a list, or"),
        (pictures, [["a", "b"]], "'texts' must hold texts"),
        ([pictures / "notes.txt"], CAPTIONS, "picture 0: image file .*notes.txt' cannot be read"),
    ):
        with pytest.raises(InputError, match=said):
            problem_of(clip(), given, texts, processor=read)
    (pictures / "empty").mkdir()
    with pytest.raises(InputError, match="'pictures' must have pictures in it"):
        problem_of(clip(), pictures / "empty", CAPTIONS, processor=read)
    with pytest.raises(InputError, match="'processor' must be the model's processor"):
        problem_of(clip(), pictures, CAPTIONS)
    with pytest.raises(InputError, match="'model' must have vectors for pictures and texts"):
        problem_of(torch.nn.Linear(1, 1), pictures, CAPTIONS, processor=read)
    with pytest.raises(InputError, match="'batch_size'"):
        problem_of(clip(), pictures, CAPTIONS, processor=read, batch_size=0)
