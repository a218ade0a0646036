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
    """The safe loader, with 1e-3 a number (YAML 1.1 wants 1.0e-3), and within the limits."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.nodes = self.depth = 0
        self.sizes: dict[yaml.Node, tuple[int, int]] = {}  # values, repeated ones counted again, and levels

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """A node of the tree, looked at as it comes: what is beyond the limits is refused before the rest is read."""
        most, repeated = limits.current(), self.check_event(yaml.AliasEvent)
        line = _line(self.peek_event())  # type: ignore[no-untyped-call]
        self.nodes += 1
        if self.nodes > most.nodes:
            raise yaml.YAMLError(f"{line}: more than {most.nodes} values: rerankit.limits.using(nodes=…) allows more")
        if self.depth > most.depth:
            raise yaml.YAMLError(f"{line}: more than {most.depth} lists and mappings in each other")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        if node is None or (repeated and node not in self.sizes):
            raise yaml.YAMLError(f"{line}: an anchor holds itself")
        values, levels = self.sizes[node] if repeated else self.sizes.setdefault(node, self._size(node))
        if values > most.values:
            raise yaml.YAMLError(f"{line}: more than {most.values} values, repeated ones counted again")
        if self.depth + levels > most.depth:
            raise yaml.YAMLError(f"{line}: more than {most.depth} lists and mappings in each other")
        return node

    def _size(self, node: yaml.Node) -> tuple[int, int]:
        sizes = [self.sizes[part] for part in _parts(node)]
        return 1 + sum(values for values, _ in sizes), max((1 + levels for _, levels in sizes), default=0)


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


def _line(what: yaml.Node | yaml.Event) -> str:
    return f"line {what.start_mark.line + 1}" if what.start_mark else "somewhere"
