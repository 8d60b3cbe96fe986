"""Settings of the documentation's site: ``make docs`` builds it into ``build/docs``."""

from __future__ import annotations

import sys
from pathlib import Path

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).resolve().parent))

from docstrings import as_restructured, leaves_out

from nyx_learning import __version__

project = "NYX Learning"
author = "the NYX Learning developers"
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["plots"]
html_theme = "furo"
html_title = "NYX Learning"
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4

# Calls of the engine lie in several classes that it is made of.
autodoc_default_options = {
    "inherited-members": "object, tuple, dict, str, int, float, Exception, Mapping, Enum, BaseModel"
}
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 90
# The same word is a field of several classes, and a type in an annotation does not say whose. A test checks
# links; named parameters ($value) are no SQL to the highlighter.
suppress_warnings = ["ref.python", "myst.xref_missing", "misc.highlighting_failure"]


def setup(app: Sphinx) -> None:
    """Docstrings follow a layout of the project's own."""
    app.connect("autodoc-process-docstring", as_restructured)
    app.connect("autodoc-skip-member", leaves_out)
