"""Cross-encoders as stages, with tiny random models."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import rerankit  # noqa: E402 - after the skips
from rerankit import Problem  # noqa: E402
from rerankit.errors import InputError, MissingExtraError  # noqa: E402
from rerankit.features import Pictures  # noqa: E402
from rerankit.stages.cross_encoder.stage import CrossEncoder  # noqa: E402
from rerankit.testing.sharing import often_switched  # noqa: E402

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "blue", "big", "small", "cat", "dog", "[ENC]"]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    (folder / "vocab.txt").write_text("\n".join(WORDS), encoding="utf-8")
    return transformers.BertTokenizer(str(folder / "vocab.txt"))


class Counting:
    """A stand-in with the interface of a CrossEncoder: scores by shared letters, and counts its calls."""

    def __init__(self):
        self.seen = []

    def predict(self, pairs, **options):
        self.seen.append(pairs)
        return torch.tensor([float(len(set(a) & set(b))) for a, b in pairs])


TEXTS = ["red cat", "a big blue dog", "small"]
CANDIDATES = ["a red cat", "blue", "a very small dog in a big house", "cat"]


@pytest.fixture
def problem():
    query_features = {"text": TEXTS}
    gallery_features = {"text": CANDIDATES}
    return Problem(
        np.random.default_rng(0).random((3, 4)), query_features=query_features, gallery_features=gallery_features
    )


def test_repr():
    assert repr(rerankit.stage("cross-encoder", model="x", batch_size=4)) == (
        "stage('cross-encoder', model='x', batch_size=4)"
    )


def test_scores_are_the_models_whatever_the_batch(problem):
    ranking = problem.ranking(3)
    expected = [[len(set(TEXTS[q]) & set(CANDIDATES[c])) for c in row] for q, row in enumerate(ranking.indices)]
    for size in (1, 2, 100):
        scores = CrossEncoder(Counting(), batch_size=size).rescore(problem, ranking)
        assert scores.tolist() == expected


@pytest.mark.parametrize(
    "made", [list, np.array, lambda found: np.array(found)[:, None]], ids=["list", "array", "column"]
)
def test_a_model_of_ones_own_may_give_plain_numbers(problem, made):
    class Plain:
        def predict(self, pairs, **options):
            return made([float(len(set(one) & set(other))) for one, other in pairs])

    ranking = problem.ranking(3)
    assert (
        CrossEncoder(Plain()).rescore(problem, ranking).tolist()
        == CrossEncoder(Counting()).rescore(problem, ranking).tolist()
    )


def test_pairs_are_sorted_by_length_and_asked_once(problem):
    model = Counting()
    stage = CrossEncoder(model, batch_size=4)
    stage.rerank(problem, problem.ranking(2))
    lengths = [len(a) + len(b) for batch in model.seen for a, b in batch]
    assert lengths == sorted(lengths, reverse=True)
    assert len(lengths) == 6
    stage.rerank(problem, problem.ranking())
    assert sum(map(len, model.seen)) == 12
    stage.rerank(problem, problem.ranking())
    assert sum(map(len, model.seen)) == 12
    none = CrossEncoder(Counting(), cache_size=0)
    for _ in range(2):
        none.rerank(problem, problem.ranking(2))
    assert sum(map(len, none.model.seen)) == 12


def test_sentence_transformers_cross_encoder(problem, tokenizer, tmp_path):
    library = pytest.importorskip("sentence_transformers")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=64,
        num_labels=1,
    )
    transformers.BertForSequenceClassification(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    out = CrossEncoder(str(tmp_path), batch_size=5, device="cpu").rerank(problem, problem.ranking(3))
    model = library.CrossEncoder(str(tmp_path), device="cpu")
    for query in range(3):
        pairs = [(TEXTS[query], CANDIDATES[item]) for item in out.indices[query]]
        alone = [float(model.predict([pair], activation_fn=torch.nn.Identity())[0]) for pair in pairs]
        np.testing.assert_allclose(out.scores[query], alone, rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def blip():
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {**sizes, "vocab_size": 13, "encoder_hidden_size": 16, "max_position_embeddings": 32}
    vision = {**sizes, "image_size": 16, "patch_size": 8, "initializer_range": 0.5}
    config = transformers.BlipConfig(text_config={**text, "bos_token_id": 2, "sep_token_id": 3}, vision_config=vision)
    return transformers.BlipForImageTextRetrieval(config).eval()


@pytest.fixture
def pictured():
    from PIL import Image

    rng = np.random.default_rng(0)
    pictures = [Image.fromarray(rng.integers(0, 255, (20, 20, 3), np.uint8)) for _ in range(4)]
    query_features = {"text": TEXTS}
    gallery_features = {"pictures": pictures}
    return Problem(rng.random((3, 4)), query_features=query_features, gallery_features=gallery_features)


def test_blip_matching_agrees_with_transformers_own_forward(blip, tokenizer, pictured):
    stage = CrossEncoder(blip, processor=tokenizer, candidate="pictures", batch_size=5, device="cpu")
    out = stage.rerank(pictured, pictured.ranking(3))
    from rerankit.stages.triplet.images import ImageTransform

    transform = ImageTransform(16, "none")
    for query in range(3):
        for place, item in enumerate(out.indices[query].tolist()):
            words = tokenizer([TEXTS[query]], return_tensors="pt")
            pixels = transform(pictured.gallery_features["pictures"][item])[None]
            with torch.no_grad():
                logits = blip(
                    input_ids=words["input_ids"], attention_mask=words["attention_mask"], pixel_values=pixels
                ).itm_score[0]
            assert out.scores[query, place] == pytest.approx(float(logits[1] - logits[0]), abs=1e-5)
    other = CrossEncoder(blip, processor=tokenizer, query="pictures", candidate="text", device="cpu")
    turned = pictured.reversed()
    both = stage.rerank(pictured, pictured.ranking()).to_dense()
    np.testing.assert_allclose(other.rerank(turned, turned.ranking()).to_dense().T, both, atol=1e-5)


def test_pictures_that_cannot_be_read(blip, tokenizer, pictured, tmp_path):
    paths = [str(tmp_path / f"{item}.png") for item in range(4)]
    for path, picture in zip(paths, pictured.gallery_features["pictures"], strict=True):
        picture.save(path)
    problem = pictured.with_features(gallery_features={"candidate_images": paths})
    stage = CrossEncoder(blip, processor=tokenizer, candidate="candidate_images", device="cpu")
    whole = CrossEncoder(blip, processor=tokenizer, candidate="pictures", device="cpu")
    assert stage.rerank(problem, problem.ranking()) == whole.rerank(problem, problem.ranking())
    (tmp_path / "2.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"candidate 2: image file '.*2\.png' cannot be read"):
        stage.rerank(problem, problem.ranking())
    out = stage.clone(on_error="skip").rerank(problem, problem.ranking())
    assert list(out.notes["cross-encoder"]["skipped_candidates"]) == [2]
    assert out.indices[:, -1].tolist() == [2, 2, 2]
    blank = problem.with_features(query_features={"text": ["red", " ", "cat"]})
    out = stage.clone(on_error="skip").rerank(blank, problem.ranking())
    assert out.notes["cross-encoder"]["skipped_queries"] == {1: "the text of query 1 is empty"}
    assert out.indices[1].tolist() == problem.ranking().indices[1].tolist()


def test_half_precision_is_near(blip, tokenizer, pictured):
    kept = {"processor": tokenizer, "candidate": "pictures", "device": "cpu"}
    exact = CrossEncoder(blip, **kept).rerank(pictured, pictured.ranking()).to_dense()
    half = CrossEncoder(blip, precision="bf16", **kept).rerank(pictured, pictured.ranking()).to_dense()
    assert np.abs(half - exact).max() < 0.02
    assert half.dtype == np.float32


def test_blip_from_a_folder(blip, tokenizer, pictured, tmp_path):
    blip.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    out = CrossEncoder(str(tmp_path), candidate="pictures", device="cpu").rerank(pictured, pictured.ranking())
    same = CrossEncoder(blip, processor=tokenizer, candidate="pictures", device="cpu")
    assert out == same.rerank(pictured, pictured.ranking())


SIZES = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}


@pytest.fixture(scope="module")
def vilt(tokenizer):
    """ViLT of random weights with its processor, which makes pictures of about 64 pixels and pads them in a batch."""
    torch.manual_seed(0)
    sizes = {**SIZES, "vocab_size": len(WORDS), "max_position_embeddings": 6, "image_size": 64, "patch_size": 16}
    model = transformers.ViltForImageAndTextRetrieval(transformers.ViltConfig(**sizes, initializer_range=0.5)).eval()
    images = transformers.ViltImageProcessor(size={"shortest_edge": 64}, size_divisor=16)
    return model, transformers.ViltProcessor(images, tokenizer)


def blip2(tokenizer, tells_picture):
    """BLIP-2 of random weights with its processor; newer files have a word that stands for the picture."""
    torch.manual_seed(0)
    vision = {**SIZES, "image_size": 16, "patch_size": 8, "initializer_range": 0.5}
    text = {**SIZES, "vocab_size": len(WORDS) + 1, "encoder_hidden_size": 16, "use_qformer_text_input": True}
    config = transformers.Blip2Config(
        vision_config=vision,
        qformer_config={**text, "max_position_embeddings": 64, "initializer_range": 0.5},
        num_query_tokens=3,
        image_text_hidden_size=8,
        image_token_index=len(WORDS) if tells_picture else None,
    )
    model = transformers.Blip2ForImageTextRetrieval(config).eval()
    torch.nn.init.normal_(model.query_tokens)
    size = {"height": 16, "width": 16}
    images = transformers.BlipImageProcessor(size=size)
    return model, transformers.Blip2Processor(images, tokenizer, num_query_tokens=3 if tells_picture else None)


def agree(model, processor, logit, problem):
    """Scores of the stage are those of the model's own forward for each pair alone, whichever side the picture is."""
    stage = CrossEncoder(model, processor=processor, candidate="pictures", batch_size=5, device="cpu")
    out = stage.rerank(problem, problem.ranking()).to_dense()
    assert out.std() > 1e-3
    pictures = problem.gallery_features["pictures"]
    for query, text in enumerate(problem.query_features["text"]):
        for item in range(len(pictures)):
            read = processor(images=pictures[item], text=text, return_tensors="pt")
            with torch.inference_mode():
                assert out[query, item] == pytest.approx(float(logit(model, read)), abs=1e-5)
    turned = problem.reversed()
    other = CrossEncoder(model, processor=processor, query="pictures", batch_size=3, device="cpu")
    np.testing.assert_allclose(other.rerank(turned, turned.ranking()).to_dense().T, out, atol=1e-5)


@pytest.fixture
def uneven(pictured):
    """Pictures of several sizes, and texts that all models read whole."""
    from PIL import Image

    rng = np.random.default_rng(0)
    sizes = ((20, 20), (20, 40), (50, 20), (30, 25))
    pictures = [Image.fromarray(rng.integers(0, 255, (*size, 3), np.uint8)) for size in sizes]
    return pictured.with_features(
        query_features={"text": ["red cat", "a big blue dog", "small"]}, gallery_features={"pictures": pictures}
    )


def test_vilt_matching_agrees_with_transformers_own_forward(vilt, uneven):
    agree(*vilt, lambda model, read: model(**read).logits[0, 0], uneven)
    state = torch.get_rng_state()
    stage = CrossEncoder(vilt[0], processor=vilt[1], candidate="pictures", device="cpu")
    first = stage.rerank(uneven, uneven.ranking())
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(1)
    assert stage.clone().rerank(uneven, uneven.ranking()) == first
    long = uneven.with_features(query_features={"text": ["red cat", "a big blue dog " * 9, "small"]})
    assert stage.rerank(long, uneven.ranking()).shape == first.shape


@pytest.mark.parametrize("tells_picture", [False, True])
def test_blip2_matching_agrees_with_transformers_own_forward(tokenizer, uneven, tells_picture):
    import copy

    def logit(model, read):
        logits = model(**read, use_image_text_matching_head=True).logits_per_image[0]
        return logits[1] - logits[0]

    agree(*blip2(copy.deepcopy(tokenizer), tells_picture), logit, uneven)


def test_matching_models_from_folders(vilt, uneven, tmp_path):
    model, processor = vilt
    model.half().save_pretrained(tmp_path)
    model.float()
    processor.save_pretrained(tmp_path)
    out = CrossEncoder(str(tmp_path), candidate="pictures", device="cpu").rerank(uneven, uneven.ranking())
    same = CrossEncoder(model, processor=str(tmp_path), candidate="pictures", device="cpu")
    np.testing.assert_allclose(out.to_dense(), same.rerank(uneven, uneven.ranking()).to_dense(), atol=1e-5)
    model.vilt.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="'model' must have all weights of a ViltForImageAndTextRetrieval"):
        CrossEncoder(str(tmp_path), candidate="pictures", device="cpu").rerank(uneven, uneven.ranking())
    with pytest.raises(InputError, match="'processor' must be the model's processor"):
        CrossEncoder(model, candidate="pictures", device="cpu").rerank(uneven, uneven.ranking())


def test_what_is_refused(problem, pictured, monkeypatch):
    with pytest.raises(InputError, match="'model' must be a folder"):
        CrossEncoder(None)
    with pytest.raises(InputError, match="unknown precision 'int4'"):
        CrossEncoder("x", precision="int4")
    faults = CrossEncoder("x", candidate="pictures").unmet(problem)
    assert [str(fault.need) for fault in faults] == ["gallery_features:pictures"]
    with pytest.raises(InputError, match=r"'model' must be a CrossEncoder, BlipFor.*, Blip2For.*, ViltFor"):
        CrossEncoder(object()).rerank(problem, problem.ranking())
    empty = problem.with_features(query_features={"text": ["red", " ", "cat"]})
    with pytest.raises(InputError, match="the text of query 1 is empty"):
        CrossEncoder(Counting()).rerank(empty, problem.ranking())
    import rerankit.extras

    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(rerankit.extras.importlib, "import_module", missing)
    monkeypatch.setattr(rerankit.extras, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="sentence_transformers"):
        CrossEncoder("some/model").rerank(problem, problem.ranking())


def test_threads_that_share_a_model_get_what_one_gets(blip, tokenizer, problem, pictured, monkeypatch):
    """Caches that hold next to nothing forget what another thread is about to read."""
    from rerankit.stages.cross_encoder.pair_models import BlipMatching

    monkeypatch.setattr(BlipMatching, "KEPT", 1)
    kept = {"processor": tokenizer, "candidate": "pictures", "batch_size": 2, "device": "cpu", "cache_size": 1}
    for stage, asked in ((CrossEncoder(blip, **kept), pictured), (CrossEncoder(Counting(), cache_size=1), problem)):
        expected = stage.rerank(asked, asked.ranking())
        with often_switched(), ThreadPoolExecutor(8) as pool:
            calls = [pool.submit(stage.rerank, asked, asked.ranking()) for _ in range(32)]
            answers = [call.result() for call in calls]
        assert all(answer == expected for answer in answers)


def test_pictures_are_opened_for_a_sentence_transformers_cross_encoder(tmp_path):
    """A real CrossEncoder whose first module reads a text and a picture: how much of the named colour it has."""
    library = pytest.importorskip("sentence_transformers")
    from PIL import Image
    from sentence_transformers.base.modules import InputModule

    seen = []

    class Colours(InputModule):
        modalities: ClassVar = ["text", "image", "message"]

        def preprocess(self, inputs, prompt=None, **options):
            seen.extend(inputs)
            wanted = [("red", "green", "blue").index(text["text"].removesuffix(".png")) for text, _ in inputs]
            means = [np.asarray(one["image"]).mean(axis=(0, 1)) for _, one in inputs]
            return {"shares": torch.tensor([[mean[at]] for at, mean in zip(wanted, means, strict=True)])}

        def forward(self, features, **options):
            return {"scores": features["shares"]}

        def save(self, *given, **options):
            raise NotImplementedError

    pixels = np.zeros((3, 4, 5, 3), np.uint8)
    for colour in range(3):
        pixels[colour, ..., colour] = 200
        Image.fromarray(pixels[colour]).save(tmp_path / f"{colour}.png")
    paths = [str(tmp_path / f"{colour}.png") for colour in range(3)]
    model = library.CrossEncoder(modules=[Colours()], device="cpu")
    texts = ["blue", "red.png"]  # the second looks like a path and is none
    for given in (paths, pixels, [Image.fromarray(one) for one in pixels]):
        problem = Problem(
            np.zeros((2, 3)), query_features={"text": texts}, gallery_features={"images": Pictures(given)}
        )
        ranking = rerankit.rerank(problem, CrossEncoder(model, candidate="images", device="cpu"))
        assert ranking.indices[:, 0].tolist() == [2, 0]
        assert ranking.scores[:, 0].tolist() == [200, 200]
    assert all(set(text) == {"text"} and set(picture) == {"image"} for text, picture in seen)
    turned = rerankit.rerank(problem.reversed(), CrossEncoder(Turned(model), query="images", device="cpu"))
    assert turned.indices[:, 0].tolist() == [1, 0, 0]


class Turned:
    """A model that reads the candidate first."""

    def __init__(self, model):
        self.model = model

    def predict(self, pairs, **options):
        return self.model.predict([pair[::-1] for pair in pairs], **options)
