"""JSON without duplicate keys and without NaN."""

from __future__ import annotations

import json
from typing import Any, NoReturn


def strict_json(text: str | bytes, **keywords: Any) -> Any:
    """The value of JSON text. `keywords` are passed to `json.loads`.

    ValueError where an object has a key twice, or where NaN or Infinity occurs: readers disagree
    about both.
    """
    return json.loads(
        text, object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant, **keywords
    )


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for i, key in enumerate(keys) if key in keys[:i])
        raise ValueError(f"the key {twice!r} occurs twice")
    return result


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
