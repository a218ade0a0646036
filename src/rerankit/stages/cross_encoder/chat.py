"""Chat models that see pictures: one is asked whether a candidate fits, and what it is about to say is the score."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from rerankit.arrays import FloatArray
from rerankit.errors import rule
from rerankit.pictures import open_image
from rerankit.training.devices import autocast

PROMPT = (
    "Search: {query}\nCandidate: {candidate}\nDoes the candidate answer the search? Reply with {yes} or {no} and "
    "nothing else."
)
ANSWERS = ("yes", "no")


@dataclass(frozen=True)
class Question:
    """What a model is asked about a pair, and the words it may answer with: the right one first."""

    prompt: str = PROMPT
    answers: tuple[str, str] = ANSWERS

    def messages(self, query: Any, candidate: Any) -> list[dict[str, Any]]:
        """The question in the form of chat templates; a picture stands where its name stands in the prompt."""
        values = {"{query}": query, "{candidate}": candidate, "{yes}": self.answers[0], "{no}": self.answers[1]}
        parts = [values.get(part, part) for part in re.split(r"(\{query\}|\{candidate\}|\{yes\}|\{no\})", self.prompt)]
        content: list[dict[str, Any]] = []
        for part in parts:
            if not isinstance(part, str):
                content.append({"type": "image", "image": part})
            elif content and content[-1]["type"] == "text":
                content[-1]["text"] += part
            elif part:
                content.append({"type": "text", "text": part})
        return [{"role": "user", "content": content}]


class ChatMatching:
    """Scores a pair by the logit of the right answer less that of the other one, as the next word of the reply.

    Its sigmoid is how likely "yes" is against "no". Both sides may be texts or pictures.
    """

    def __init__(
        self, model: Any, processor: Any, question: Question, precision: str, max_tokens: int | None = None
    ) -> None:
        self.model, self.processor, self.question = model, processor, question
        self.precision, self.max_tokens = precision, max_tokens
        if not getattr(processor, "chat_template", None):
            raise rule("processor", "must have a chat template", type(processor).__name__)
        self.tokenizer = processor.tokenizer
        self.yes, self.no = (self._word(word) for word in question.answers)
        self.marks = {*self.tokenizer.all_special_tokens, *self.tokenizer.get_added_vocab()}
        # The logits of all places of a batch would take many times the memory of the model.
        takes = inspect.signature(model.forward).parameters
        self.last = {"logits_to_keep": 1} if "logits_to_keep" in takes else {}

    @torch.inference_mode()
    def score(self, pairs: Sequence[tuple[Any, Any]]) -> FloatArray:
        """(len(pairs),)."""
        talks = [self.question.messages(*(self._content(one) for one in pair)) for pair in pairs]
        pictures = [[part["image"] for part in one[0]["content"] if part["type"] == "image"] for one in talks]
        written = [self.processor.apply_chat_template(one, add_generation_prompt=True, tokenize=False) for one in talks]
        # From the left, so that the last place of each row is where the reply begins.
        read = self.processor(
            text=written,
            images=pictures if any(pictures) else None,
            padding=True,
            padding_side="left",
            return_tensors="pt",
        ).to(self.model.device, self.model.dtype)
        with autocast(self.model.device, self.precision):
            logits = cast(Tensor, self.model(**read, **self.last).logits)[:, -1].float()
        return np.asarray((logits[:, self.yes] - logits[:, self.no]).cpu().numpy())

    def _content(self, one: Any) -> Any:
        """A picture, opened; or a text without the marks by which chat templates say who speaks, and cut."""
        if not isinstance(one, str):
            return open_image(one, "picture")
        for mark in self.marks:
            one = one.replace(mark, " ")
        if self.max_tokens is None:
            return one
        short = self.tokenizer(one, truncation=True, max_length=self.max_tokens, add_special_tokens=False)
        return self.tokenizer.decode(short["input_ids"])

    def _word(self, word: str) -> int:
        found = self.tokenizer.encode(word, add_special_tokens=False)
        if len(found) != 1 or found[0] == self.tokenizer.unk_token_id:
            raise rule("answers", "must be two words that are one token each of the model's tokenizer", word)
        return int(found[0])
