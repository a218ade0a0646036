"""A chat model on this machine as a judge of texts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from rerankit.errors import InputError, MissingExtraError

_LIST = (
    "Here are {count} texts, each with its number.\n\n{items}\n\nWhich of them answer this search best: {query}\n"
    "Reply with all numbers, best first, such as [2] > [1] > [3], and nothing else."
)
_PAIR = (
    "Search: {query}\n\nText A: {one}\n\nText B: {other}\n\n"
    "Which text answers the search better? Reply with A or B and nothing else."
)


class ChatModel:
    """A causal language model with a chat template: a folder, or a name on the Hugging Face Hub."""

    def __init__(self, name: str) -> None:
        try:
            from transformers import AutoModelForCausalLM, AutoTokenizer
        except ImportError as cause:
            text = "a chat model as a judge needs torch and transformers: pip install 'rerankit-judge[model]'"
            raise MissingExtraError(text) from cause
        self.tokenizer = AutoTokenizer.from_pretrained(name)
        if not self.tokenizer.chat_template:
            raise InputError(f"'judge' must be a model with a chat template (got {name!r})")
        self.model = AutoModelForCausalLM.from_pretrained(name).eval()

    def order(self, query: str, items: Sequence[str]) -> list[int]:
        """The places of the items, best first, as far as the model names them."""
        listed = "\n".join(f"[{number}] {item}" for number, item in enumerate(items, 1))
        tokens = self._tokens(_LIST.format(count=len(items), items=listed, query=query))
        written = self.model.generate(
            **tokens, max_new_tokens=6 * len(items), do_sample=False, pad_token_id=self.tokenizer.eos_token_id
        )
        return numbers(self.tokenizer.decode(written[0, tokens["input_ids"].shape[1] :]), len(items))

    def preference(self, query: str, one: str, other: str) -> float:
        """How likely the model is to say A rather than B."""
        import torch

        tokens = self._tokens(_PAIR.format(query=query, one=one, other=other))
        a, b = (self.tokenizer.encode(letter, add_special_tokens=False)[0] for letter in "AB")
        with torch.inference_mode():
            says = self.model(**tokens).logits[0, -1]
        return float(torch.softmax(says[[a, b]].float(), 0)[0])

    def _tokens(self, text: str) -> Any:
        messages = [{"role": "user", "content": text}]
        return self.tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )


def numbers(text: str, size: int) -> list[int]:
    """The places that a model's reply names, each once, in its order.

    >>> numbers("[3] > [1] > [3] > [9]", 3)
    [2, 0]
    """
    found = [int(number) - 1 for number in re.findall(r"\d+", text)]
    return list(dict.fromkeys(place for place in found if 0 <= place < size))
