"""The site: ``python -m sphinx -W -n -b html docs site`` builds it from these pages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from facereg import __version__

DOCS = Path(__file__).parent
REPOSITORY = "https://github.com/facereg/facereg/blob/main"

project = "facereg"
author = "facereg contributors"
project_copyright = "facereg contributors"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["images/**"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
default_role = "code"

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_custom_sections = [("Options", "params_style")]
# Types of other packages, and private ones, have no page here.
nitpick_ignore_regex = [("py:.*", r".*")]

html_theme = "furo"
html_title = "facereg"
html_show_sphinx = False
html_theme_options: dict[str, Any] = {
    "source_repository": "https://github.com/facereg/facereg/",
    "source_branch": "main",
    "source_directory": "docs/",
}


def link_to_repository(_: Any, page: str, source: list[str]) -> None:
    """Let links to files outside docs/, which work in the repository, lead there from the site."""
    folder = (DOCS / page).parent

    def lead(match: re.Match[str]) -> str:
        target = (folder / match[1]).resolve()
        if DOCS in target.parents or not target.exists():
            return match[0]
        return f"]({REPOSITORY}/{target.relative_to(DOCS.parent).as_posix()}{match[2] or ''})"

    source[0] = re.sub(r"\]\((\.\.?/[^)#\s]+)(#[^)\s]*)?\)", lead, source[0])


def setup(app: Any) -> None:
    """Register what this file adds to Sphinx."""
    app.connect("source-read", link_to_repository)
