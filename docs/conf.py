"""Configuration of the documentation site.

Build it by ``sphinx-build -W --keep-going -b html docs docs/_build/html``.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import fastdrop  # noqa: E402 (the checkout beside this folder, not an installed copy)

project = "fastdrop"
author = "The fastdrop developers"
copyright = "The fastdrop developers, MIT licence"
version = release = fastdrop.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_design",
    "plain_docstrings",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "README.md"]
templates_path = ["_templates"]

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3  # [text](page.md#heading) works down to level 3

autosummary_generate = True
autosummary_ignore_module_all = False
default_role = "py:obj"  # `name` in a docstring links to the name where it is documented
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the numpydoc sections give types, shapes and ranges
autodoc_inherit_docstrings = False

# A layer inherits about thirty methods from Module. They are documented once, on Module's page;
# the class template lists only what a class defines itself.
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
numpydoc_xref_param_type = False
numpydoc_validation_checks = set()  # reST errors fail the build; style is a matter for review

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True

html_theme = "pydata_sphinx_theme"
html_title = "fastdrop"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navigation_depth": 2,  # deeper sidebars are most of the build time of a page
    "collapse_navigation": True,
    "show_nav_level": 1,
    "show_toc_level": 2,
    "header_links_before_dropdown": 6,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
}
