"""The machine that pickles are written for: a stack of what has been made, and a memory of what may come again."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable, Collection, Sequence
from typing import Any

from rerankit import limits
from rerankit.reading import builders
from rerankit.reading.cursor import LONGEST_NAME, Cursor
from rerankit.reading.plain import ContentError, Name

Storages = Callable[[Any], Any]
"""What a persistent id stands for: numbers that lie outside of the pickle, in files of torch."""

_MARK = object()
_LONGEST_NUMBER = 256  # bytes, or digits
_STOP = pickle.STOP[0]
_DAMAGE = (TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError, struct.error)


class Machine(Cursor):
    """One pickle being read. It knows the instructions that data need, and refuses the others."""

    def __init__(
        self, data: memoryview, records: Collection[str] = (), storages: Storages | None = None, start: int = 0
    ) -> None:
        super().__init__(data, start)
        self.records, self.storages = records, storages
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self._copied = 0

    def run(self) -> Any:
        """The value that the pickle describes; `at` is then behind it."""
        most = limits.current().values
        for _ in range(most):
            code = self.take(1)[0]
            if code == _STOP:
                return self.pop()
            step = STEPS.get(code)
            if step is None:
                raise ContentError(f"it has instruction {bytes([code])!r}, which plain data does not need")
            try:
                step(self)
            except _DAMAGE as cause:
                raise ContentError(f"it is damaged before byte {self.at} ({type(cause).__name__}: {cause})") from cause
        raise ContentError(f"it must have at most {most} steps: rerankit.limits.using(values=…) allows more")

    # -- the stack -----------------------------------------------------------------------------------------------

    def push(self, value: Any) -> None:
        """Put a value on top."""
        self.stack.append(value)

    def pop(self) -> Any:
        """Take the value on top away."""
        if not self.stack or self.stack[-1] is _MARK:
            raise ContentError("it takes a value where there is none")
        return self.stack.pop()

    def top(self) -> Any:
        """The value on top."""
        if not self.stack or self.stack[-1] is _MARK:
            raise ContentError("it uses a value where there is none")
        return self.stack[-1]

    def mark(self) -> None:
        """Begin a group."""
        self.stack.append(_MARK)

    def group(self) -> list[Any]:
        """Take a group away."""
        at = len(self.stack) - 1
        while at >= 0 and self.stack[at] is not _MARK:
            at -= 1
        if at < 0:
            raise ContentError("it ends a group that it has not begun")
        found = self.stack[at + 1 :]
        del self.stack[at:]
        return found

    # -- making things -------------------------------------------------------------------------------------------

    def name(self, module: Any, name: Any) -> None:
        """Push a name."""
        if not isinstance(module, str) or not isinstance(name, str) or len(module) + len(name) > 2 * LONGEST_NAME:
            raise ContentError("it names something by what is not a short text")
        self.push(Name(module, name))

    def call(self) -> None:
        """Call the function below the arguments on top."""
        arguments, function = self.pop(), self.pop()
        self._spend(arguments if isinstance(arguments, tuple) else ())
        self.push(builders.call(function, arguments, self.records))

    def new(self) -> None:
        """Make an object of the class below the arguments on top."""
        arguments, kind = self.pop(), self.pop()
        if not isinstance(arguments, tuple):
            raise ContentError("it makes an object of what is not a list of arguments")
        self.new_of(kind, arguments)

    def new_of(self, kind: Any, arguments: Sequence[Any]) -> None:
        """Make an object of a class."""
        self._spend(tuple(arguments))
        self.push(builders.new(kind, arguments, self.records))

    def set_state(self) -> None:
        """Give the value below what is on top."""
        state = self.pop()
        self._spend(state if isinstance(state, tuple) else (state,))
        builders.set_state(self.top(), state)

    def _spend(self, arguments: Sequence[Any]) -> None:
        """Count what is copied: a file that has one long list copied again and again is refused."""
        self._copied += sum(
            len(each) for each in arguments if isinstance(each, str | bytes | list | dict | tuple | set)
        )
        if self._copied > 100_000 + 2 * len(self.data):
            raise ContentError("it copies more than it holds")

    def set_items(self, pairs: list[Any]) -> None:
        """Put pairs of keys and values into the dictionary on top."""
        target = self.top()
        if not isinstance(target, dict) or len(pairs) % 2:
            raise ContentError("it sets items of what is not a dictionary")
        target.update(zip(map(builders.checked_key, pairs[::2]), pairs[1::2], strict=True))

    def append(self, values: list[Any]) -> None:
        """Put values at the end of the list on top."""
        if not isinstance(self.top(), list):
            raise ContentError("it appends to what is not a list")
        self.top().extend(values)

    def add(self, values: list[Any]) -> None:
        """Put values into the set on top."""
        if not isinstance(self.top(), set):
            raise ContentError("it adds to what is not a set")
        self.top().update(map(builders.checked_key, values))

    def persistent(self, name: Any) -> None:
        """Push what lies outside of the pickle."""
        if self.storages is None:
            raise ContentError("it refers to data outside of the file")
        self.push(self.storages(name))


def _whole(text: str) -> Any:
    """A number in decimal; protocol 0 has truth values as 00 and 01."""
    if len(text) > _LONGEST_NUMBER:
        raise ContentError(f"a number must have at most {_LONGEST_NUMBER} digits")
    return {"00": False, "01": True}[text] if text in ("00", "01") else int(text.rstrip("L"))


def _long(data: bytes) -> int:
    if len(data) > _LONGEST_NUMBER:
        raise ContentError(f"a number must have at most {_LONGEST_NUMBER} bytes")
    return int.from_bytes(data, "little", signed=True)


def _quoted(text: str) -> str:
    if len(text) < 2 or text[0] != text[-1] or text[0] not in "'\"":
        raise ContentError("a text must stand in quotes")
    return text[1:-1].encode("latin-1").decode("unicode_escape")


def _text(data: bytes) -> str:
    return data.decode("utf-8")


def _latin(data: bytes) -> str:
    return data.decode("latin-1")  # Python 2 did not tell texts from bytes; arrays take these as bytes again


def _push(make: Callable[[Machine], Any]) -> Callable[[Machine], None]:
    return lambda machine: machine.push(make(machine))


def _remember(at: Callable[[Machine], int]) -> Callable[[Machine], None]:
    def step(machine: Machine) -> None:
        machine.memo[at(machine)] = machine.top()

    return step


def _pop(machine: Machine) -> None:
    machine.stack.pop()  # a mark, too


def _stack_name(machine: Machine) -> None:
    name, module = machine.pop(), machine.pop()
    machine.name(module, name)


def _object(machine: Machine) -> None:
    kind, *arguments = machine.group()
    machine.new_of(kind, arguments)


def _old_object(machine: Machine) -> None:
    machine.name(machine.line(), machine.line())
    kind = machine.pop()
    machine.new_of(kind, machine.group())


def _set_item(machine: Machine) -> None:
    value, key = machine.pop(), machine.pop()
    machine.set_items([key, value])


def _tuple(size: int) -> Callable[[Machine], Any]:
    return lambda machine: tuple([machine.pop() for _ in range(size)][::-1])


_ANY_LINE = 100_000_000  # a text of protocol 0 may be long
_MEANINGS: dict[bytes, Callable[[Machine], Any]] = {
    pickle.PROTO: lambda m: m.take(1),
    pickle.FRAME: lambda m: m.take(8),
    pickle.MARK: Machine.mark,
    pickle.POP: _pop,
    pickle.POP_MARK: Machine.group,
    pickle.DUP: _push(Machine.top),
    pickle.NONE: _push(lambda m: None),
    pickle.NEWTRUE: _push(lambda m: True),
    pickle.NEWFALSE: _push(lambda m: False),
    pickle.INT: _push(lambda m: _whole(m.line())),
    pickle.LONG: _push(lambda m: _whole(m.line())),
    pickle.FLOAT: _push(lambda m: float(m.line())),
    pickle.BININT: _push(lambda m: m.number("<i")),
    pickle.BININT1: _push(lambda m: m.number("<B")),
    pickle.BININT2: _push(lambda m: m.number("<H")),
    pickle.LONG1: _push(lambda m: _long(m.block("<B"))),
    pickle.LONG4: _push(lambda m: _long(m.block("<i"))),
    pickle.BINFLOAT: _push(lambda m: m.number(">d")),
    pickle.STRING: _push(lambda m: _quoted(m.line(_ANY_LINE))),
    pickle.BINSTRING: _push(lambda m: _latin(m.block("<i"))),
    pickle.SHORT_BINSTRING: _push(lambda m: _latin(m.block("<B"))),
    pickle.UNICODE: _push(lambda m: m.line(_ANY_LINE).encode("latin-1").decode("raw-unicode-escape")),
    pickle.SHORT_BINUNICODE: _push(lambda m: _text(m.block("<B"))),
    pickle.BINUNICODE: _push(lambda m: _text(m.block("<I"))),
    pickle.BINUNICODE8: _push(lambda m: _text(m.block("<Q"))),
    pickle.SHORT_BINBYTES: _push(lambda m: m.block("<B")),
    pickle.BINBYTES: _push(lambda m: m.block("<I")),
    pickle.BINBYTES8: _push(lambda m: m.block("<Q")),
    pickle.BYTEARRAY8: _push(lambda m: m.block("<Q")),
    pickle.EMPTY_LIST: _push(lambda m: []),
    pickle.EMPTY_TUPLE: _push(lambda m: ()),
    pickle.EMPTY_DICT: _push(lambda m: {}),
    pickle.EMPTY_SET: _push(lambda m: set()),
    pickle.LIST: _push(Machine.group),
    pickle.TUPLE: _push(lambda m: tuple(m.group())),
    pickle.TUPLE1: _push(_tuple(1)),
    pickle.TUPLE2: _push(_tuple(2)),
    pickle.TUPLE3: _push(_tuple(3)),
    pickle.DICT: _push(lambda m: builders.pairs(m.group())),
    pickle.FROZENSET: _push(lambda m: set(map(builders.checked_key, m.group()))),
    pickle.APPEND: lambda m: m.append([m.pop()]),
    pickle.APPENDS: lambda m: m.append(m.group()),
    pickle.SETITEM: _set_item,
    pickle.SETITEMS: lambda m: m.set_items(m.group()),
    pickle.ADDITEMS: lambda m: m.add(m.group()),
    pickle.PUT: _remember(lambda m: int(_whole(m.line()))),
    pickle.BINPUT: _remember(lambda m: int(m.number("<B"))),
    pickle.LONG_BINPUT: _remember(lambda m: int(m.number("<I"))),
    pickle.MEMOIZE: _remember(lambda m: len(m.memo)),
    pickle.GET: _push(lambda m: m.memo[_whole(m.line())]),
    pickle.BINGET: _push(lambda m: m.memo[m.number("<B")]),
    pickle.LONG_BINGET: _push(lambda m: m.memo[m.number("<I")]),
    pickle.GLOBAL: lambda m: m.name(m.line(), m.line()),
    pickle.STACK_GLOBAL: _stack_name,
    pickle.REDUCE: Machine.call,
    pickle.NEWOBJ: Machine.new,
    pickle.OBJ: _object,
    pickle.INST: _old_object,
    pickle.BUILD: Machine.set_state,
    pickle.BINPERSID: lambda m: m.persistent(m.pop()),
}
STEPS = {code[0]: meaning for code, meaning in _MEANINGS.items()}
"""What each instruction does, by its number."""
