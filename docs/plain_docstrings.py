"""Sphinx extension: formulas in docstrings are plain text, so that help() shows them as written.

reStructuredText reads ``|x|`` as a substitution, a ``*`` before a word as the start of emphasis,
and a word that ends in an underscore as a link. This extension escapes the three in docstrings,
after numpydoc has run. Literals, roles, strong text, balanced emphasis, examples and indented
blocks stay as they are. All other errors of reStructuredText are still reported.
"""

import re

# Markup that keeps its meaning.
MARKUP = re.compile(
    r"``.+?``"  # literal
    r"|`[^`]+`(?:_{0,2}(?!\w))"  # interpreted text, link
    r"|\*\*[^*\s][^*]*\*\*"  # strong
    r"|(?<![\w*])\*[^\s*][^*]*(?<!\s)\*(?!\w)"  # balanced emphasis
    r"|\\."  # escaped already
    r"|\[\w+\]_"  # citation
)
DIRECTIVE = re.compile(r"\s*\.\. [\w-]+::")
SPECIAL = re.compile(r"\||\*(?=\S)|(?<=\S)\*|(?<=\w)_(?!\w)")


def escaped(text: str) -> str:
    """One line of a docstring with the special characters of formulas escaped."""
    out, end = [], 0
    for found in MARKUP.finditer(text):
        out += [SPECIAL.sub(r"\\\g<0>", text[end : found.start()]), found.group()]
        end = found.end()
    return "".join([*out, SPECIAL.sub(r"\\\g<0>", text[end:])])


def process(app, what, name, obj, options, lines):
    """Escape one docstring in place, except examples, directives and literal blocks."""
    block = None  # the indentation of the line that opened an indented block
    example = False
    for i, line in enumerate(lines):
        indentation = len(line) - len(line.lstrip())
        if block is not None and line.strip() and indentation <= block:
            block = None
        example = bool(line.strip()) and (example or line.lstrip().startswith(">>>"))
        if block is None and not example and not line.lstrip().startswith(".. "):
            lines[i] = escaped(line)
        if block is None and (line.rstrip().endswith("::") or DIRECTIVE.match(line)):
            block = indentation


def setup(app):
    """Run after numpydoc, which has Sphinx's default priority of 500."""
    app.connect("autodoc-process-docstring", process, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
