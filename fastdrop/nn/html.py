"""A module as HTML for notebooks: its submodules, folded, with their numbers of parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdrop._utils.html import details, escape, fragment

if TYPE_CHECKING:
    from fastdrop.nn.named_entries import NamedEntries

__all__ = ["module_html"]

_DEEPEST = 12  # levels of submodules


def module_html(module: NamedEntries) -> str:
    """A module with its submodules, the outermost open."""
    return fragment(_entry(type(module).__name__, module, 0))


def _entry(label: str, module: NamedEntries, level: int) -> str:
    """A line for a module, with those of its submodules below it."""
    weights = {id(p): p for p in module.parameters()}.values()  # tied ones count once
    count = sum(p.data.size for p in weights)
    frozen = sum(p.data.size for p in weights if not p.requires_grad)
    notes = [f"{count:,} parameters"] * bool(count) + [f"{frozen:,} frozen"] * bool(frozen)
    if level == 0:
        notes.append("training mode" if module.training else "evaluation mode")
    children = list(module.named_children())
    extra = module.extra_repr()
    text = f"{label}({extra})" if extra or not children else label
    line = text + (f" - {', '.join(notes)}" if notes else "")
    if not children or level == _DEEPEST:
        return f"<div style='margin-left:1.2em'>{escape(line)}</div>"
    inner = "".join(
        _entry(f"{name}: {type(child).__name__}", child, level + 1) for name, child in children
    )
    return details(line, inner, is_open=level == 0)
