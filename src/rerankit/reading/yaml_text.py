"""YAML of others: plain values, names once, and nothing that grows when it is read."""

from __future__ import annotations

import re
from typing import Any

import yaml

from rerankit import limits
from rerankit.errors import FormatError

EXPONENT = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)[eE][-+]?[0-9]+$")
FIRST = list("-+.0123456789")
FLOAT = "tag:yaml.org,2002:float"
_NUMBERS = (FLOAT, "tag:yaml.org,2002:int")
_LONGEST_NUMBER = 100


class Loader(yaml.SafeLoader):
    """The safe loader, with 1e-3 a number (YAML 1.1 wants 1.0e-3, which nobody writes), and within the limits."""

    def get_single_node(self) -> yaml.Node | None:
        """The tree of the text, looked at before values are made of it."""
        node = super().get_single_node()
        if node is not None:
            _check(node)
        return node


Loader.add_implicit_resolver(FLOAT, EXPONENT, FIRST)


def parse_yaml(text: str, where: str = "the YAML text") -> Any:
    """What a YAML text says.

    >>> parse_yaml("{rate: 1e-3, name: '1e-3'}")
    {'rate': 0.001, 'name': '1e-3'}
    >>> parse_yaml("{k: 1, k: 2}")
    Traceback (most recent call last):
    rerankit.errors.FormatError: the YAML text is not YAML that can be read: line 1: 'k' stands twice in a mapping
    """
    most = limits.current().text
    if len(text) > most:
        limits.check(where, "text", len(text), "the size of the text")
    try:
        return yaml.load(text, Loader)
    except RecursionError as cause:
        raise FormatError(f"{where} must have fewer lists and mappings in each other") from cause
    except Exception as cause:  # a tag such as !!bool before anything else fails in as many ways as there are tags
        raise FormatError(f"{where} is not YAML that can be read: {' '.join(str(cause).split())[:500]}") from cause


def _check(root: yaml.Node) -> None:
    """Refuse a tree that repeats what it names to more than the limits allow, holds itself, or says a key twice."""
    most = limits.current()
    counts: dict[int, int | None] = {}

    def count(node: yaml.Node, depth: int) -> int:
        known = counts.get(id(node), 0)
        if known is None:
            raise yaml.YAMLError(f"{_line(node)}: an anchor holds itself")
        if known:
            return known
        if depth > most.depth:
            raise yaml.YAMLError(f"{_line(node)}: more than {most.depth} lists and mappings in each other")
        counts[id(node)] = None
        total = 1 + sum(count(part, depth + 1) for part in _parts(node))
        if total > most.values:
            raise yaml.YAMLError(f"{_line(node)}: more than {most.values} values, repeated ones counted again")
        counts[id(node)] = total
        return total

    count(root, 0)


def _parts(node: yaml.Node) -> list[yaml.Node]:
    """The nodes inside a node."""
    if isinstance(node, yaml.MappingNode):
        _check_keys(node)
        return [part for pair in node.value for part in pair]
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    if node.tag in _NUMBERS and len(node.value) > _LONGEST_NUMBER:
        raise yaml.YAMLError(f"{_line(node)}: a number must have at most {_LONGEST_NUMBER} digits")
    return []


def _check_keys(node: yaml.MappingNode) -> None:
    seen = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            if (key.tag, key.value) in seen:
                raise yaml.YAMLError(f"{_line(key)}: '{key.value[:80]}' stands twice in a mapping")
            seen.add((key.tag, key.value))


def _line(node: yaml.Node) -> str:
    return f"line {node.start_mark.line + 1}" if node.start_mark else "somewhere"
