"""Any cross-encoder as a stage: of sentence-transformers, or image-text matching and chat models of transformers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rerankit import checks
from rerankit.arrays import FloatArray, IntArray
from rerankit.errors import StageError, rule
from rerankit.events import track
from rerankit.stages.pairs import Key, Pair, PairStage
from rerankit.training.settings import PRECISIONS

if TYPE_CHECKING:
    from rerankit.stages.cross_encoder.pair_models import PairModel


class CrossEncoder(PairStage):
    """Scores every (query, candidate) pair by a model that reads both together.

    `model` is a folder, a name on the hub, or a loaded model: a sentence-transformers CrossEncoder, or one of
    transformers for image-text matching: `BlipForImageTextRetrieval` (a loaded one with its tokenizer as `processor`),
    `Blip2ForImageTextRetrieval` or `ViltForImageAndTextRetrieval` (with their `processor`), or a chat model that sees
    pictures (Qwen-VL, LLaVA …), which is asked the `prompt` about each pair: the score is the logit of the first of its
    `answers` less that of the second. A name on the hub is a chat model where one of these two is given. The prompt
    has {query} and {candidate} once each, and may have {yes} and {no}, the answers. The problem's features
    `query` and `candidate` name what is read of each: texts, or pictures (PIL, arrays, paths; in a feature whose
    name ends in "images" a string is a path too). Pairs go through the model sorted by length, `batch_size` at a
    time; `cache_size` scores of pairs are kept, so that a second run asks only for new pairs. `on_error` "skip"
    leaves a query or candidate that cannot be read where it was and lists it in the ranking's notes under
    "cross-encoder".

    The scores that come in only choose the candidates. It loses where the model knows these queries less well than the
    first stage does: `fuse` joins both.

    >>> CrossEncoder("cross-encoder/ms-marco-MiniLM-L6-v2", batch_size=64)
    stage('cross-encoder', model='cross-encoder/ms-marco-MiniLM-L6-v2', batch_size=64)
    """

    name: ClassVar[str] = "cross-encoder"
    outside: ClassVar[tuple[str, ...]] = ("model", "processor")
    citation: ClassVar[str] = (
        "Reimers, Gurevych: Sentence-BERT. EMNLP 2019 (CrossEncoder). "
        "Li, Li, Xiong, Hoi: BLIP. ICML 2022 (image-text matching). "
        "Li, Li, Savarese, Hoi: BLIP-2. ICML 2023. Kim, Son, Kim: ViLT. ICML 2021."
    )

    def __init__(
        self,
        model: Any,
        *,
        processor: Any = None,
        query: str = "text",
        candidate: str = "text",
        batch_size: int = 32,
        max_tokens: int | None = None,
        precision: str = "float32",
        device: str = "auto",
        cache_size: int = 1_000_000,
        on_error: str = "raise",
        prompt: str | None = None,
        answers: Sequence[str] | None = None,
    ) -> None:
        super().__init__(cache_size, on_error)
        if isinstance(model, (int, float, bool)) or model is None:
            raise rule("model", "must be a folder, a name on the hub, or a loaded model", model)
        self.model, self.processor = model, processor
        self.query, self.candidate = query, candidate
        self.batch_size = checks.integer("batch_size", batch_size, least=1)
        self.max_tokens = max_tokens if max_tokens is None else checks.integer("max_tokens", max_tokens, least=3)
        self.precision = checks.choice("precision", precision, PRECISIONS)
        self.device = device
        self.prompt = prompt if prompt is None else _asking(prompt)
        self.answers = answers if answers is None else _two_words(answers)
        self._pairs: PairModel | None = None

    def score_pairs(self, pairs: list[Pair], keys: list[Key]) -> tuple[FloatArray, list[str]]:
        """Longest texts first, so that a batch holds pairs of about one length."""
        out = np.zeros(len(pairs), np.float32)
        if self._pairs is None:
            self._pairs = self._loaded()
        order = self._order(pairs, keys)
        for at in track(range(0, len(order), self.batch_size), "scoring pairs"):
            batch = order[at : at + self.batch_size]
            out[batch] = self._pairs.score([pairs[n] for n in batch.tolist()])
        if not np.isfinite(out).all():
            raise StageError("stage 'cross-encoder' gave a score that is not finite; try precision='float32'")
        self.keep(keys, out)
        return out, []

    def _loaded(self) -> PairModel:
        from rerankit.stages.cross_encoder.chat import ANSWERS, PROMPT, Question
        from rerankit.stages.cross_encoder.pair_models import load_pair_model

        question = None
        if self.prompt is not None or self.answers is not None:
            yes, no = self.answers or ANSWERS
            question = Question(self.prompt or PROMPT, (yes, no))
        return load_pair_model(self.model, self.processor, self.precision, self.device, self.max_tokens, question)

    def _order(self, pairs: list[Pair], keys: list[Key]) -> IntArray:
        lengths = np.array([_length(one) + _length(other) for one, other in pairs])
        if isinstance(pairs[0][1], str):
            return np.argsort(-lengths, kind="stable")
        # Pairs of one picture come together, so that it is encoded once.
        names = np.unique([key[1] for key in keys], return_inverse=True)[1]
        return np.lexsort((-lengths, names))


def _length(item: Any) -> int:
    return len(item) if isinstance(item, str) else 0


def _asking(prompt: Any) -> str:
    if not isinstance(prompt, str) or prompt.count("{query}") != 1 or prompt.count("{candidate}") != 1:
        raise rule("prompt", "must be a text that has {query} and {candidate} once each", prompt)
    return prompt


def _two_words(answers: Any) -> list[str]:
    words = [] if isinstance(answers, str) else list(answers)
    if len(words) != 2 or not all(isinstance(word, str) and word for word in words) or words[0] == words[1]:
        raise rule("answers", "must be two words, the right answer first", answers)
    return words
