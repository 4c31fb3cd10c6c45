"""Settings of the documentation: ``sphinx-build -W docs docs/_build/html``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import patter_trio

project = "patter_trio"
author = "the patter_trio authors"
copyright = "the patter_trio authors"
version = release = patter_trio.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "settings_table"]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"patter_trio {version}"
html_static_path = ["_static"]
html_copy_source = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_default_options = {"members": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
