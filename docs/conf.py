"""The site: `make docs` builds it of these pages, without a network, and takes every warning for an error.

Sphinx with MyST and furo, because torch, numpy and safetensors' own world is read and kept there: autodoc reads our
docstrings as they are, and furo brings a search, a dark page and no font from elsewhere. mkdocs-material reached its end
in November 2026, Zensical is at 0.1, and pydata's theme has a navigation for several sites where we have one.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from paraminspect import __version__  # noqa: E402
from scripts.site_pages import fill_page  # noqa: E402
from scripts.site_reference import find_by_last_name, show_signature, skip_field  # noqa: E402

project = "paraminspect"
author = "paraminspect developers"
copyright = author  # noqa: A001 - Sphinx calls it so
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["man"]
nitpicky = True
nitpick_ignore_regex = [
    ("py:class", r"(collections\.abc|os|torch|np|nn)\..+"),  # there is no network to find them with
    ("py:class", r"(paraminspect\.[a-z.]+)?(Rule|Origin|PlannedStep|Failure|Functions|Logical|Encoding|Folded)"),
    ("py:class", r"(paraminspect\.[a-z.]+)?(Declaration|Classes|LossFunction|Attention|Optimizer|Severity)"),
    ("py:class", r"(paraminspect\.[a-z.]+)?(Kind|Role|TieKind|GradState)"),
]
smartquotes_action = "D"  # the dash behind a parameter's name; quotes stay as they are typed
default_role = "literal"

html_theme = "furo"
html_title = "paraminspect"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False

myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_type_aliases = {"Source": "Source"}
napoleon_use_ivar = True
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True


def setup(app: Any) -> None:
    """Let pages be filled before they are read."""
    hooks = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["metadata"]["hooks"]
    repository = hooks["custom"]["repository"]
    files = f"{repository}/blob/v{version}" if repository else ""

    def fill(app: Any, name: str, source: list[str]) -> None:
        source[0] = fill_page(source[0], Path(app.env.doc2path(name)), files)

    app.connect("source-read", fill)
    app.connect("autodoc-skip-member", skip_field)
    app.connect("autodoc-process-signature", show_signature)
    app.connect("missing-reference", find_by_last_name)
