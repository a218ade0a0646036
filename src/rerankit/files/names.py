"""Names that become paths: one check for reading and for writing."""

from __future__ import annotations

from rerankit.errors import rule

_LONGEST = 200
_NOT_PORTABLE = '<>:"|?*'


def check_name(name: str, argument: str = "name", *, portable: bool = False) -> None:
    """Refuse a name that could lead out of a folder or that a file cannot have; `/` parts a name into folders.

    With `portable` also what some systems do not allow in a file's name.

    >>> check_name("query_features/text")
    >>> check_name("query_features/../../x")
    Traceback (most recent call last):
    rerankit.errors.InputError: 'name' must not have '..' between its slashes (got 'query_features/../../x')
    """
    fault = _fault(name, _NOT_PORTABLE if portable else "")
    if fault:
        raise rule(argument, fault, repr(name) if len(name) <= _LONGEST else f"{len(name)} characters")


def _fault(name: str, forbidden: str) -> str | None:
    if any(not each.isprintable() for each in name) or "\\" in name:
        return "must be printable characters without a backslash"
    for part in name.split("/"):
        if part in ("", ".", ".."):
            return f"must not have '{part}' between its slashes" if part else "must not be empty between its slashes"
        if len(part.encode()) > _LONGEST:
            return f"must have at most {_LONGEST} bytes between its slashes"
        if forbidden and (part[0] == "." or part[-1] in ". " or set(part) & set(forbidden)):
            return f"must be the name of a file on any system: no {' '.join(forbidden)}, no '.' at the beginning"
    return None
