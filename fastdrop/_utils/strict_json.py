"""JSON without duplicate keys and without NaN."""

from __future__ import annotations

import json


def strict_json(text: str, **keywords):
    """What JSON text says. ValueError where a key occurs twice or NaN or Infinity stands (readers differ in what they make of those)."""
    return json.loads(text, object_pairs_hook=_no_twins, parse_constant=_no_constant, **keywords)


def _no_twins(pairs):
    result = dict(pairs)
    if len(result) != len(pairs):
        seen = set()
        raise ValueError(
            f"the key {next(key for key, _ in pairs if key in seen or seen.add(key))!r} occurs twice"
        )
    return result


def _no_constant(name):
    raise ValueError(f"{name} is no JSON")
