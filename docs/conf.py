"""How Sphinx builds the documentation. Nothing is executed and nothing is loaded from elsewhere.

python -m sphinx -W --keep-going -n -b html docs build/docs
"""

import sys
import warnings
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "tests")]

from iamframe import __version__  # noqa: E402

project = "iamframe"
author = "the authors of iamframe"
project_copyright = f"{author}, Apache-2.0"
version = release = __version__
language = "en"

extensions = ["myst_nb", "sphinx.ext.autodoc", "numpydoc", "sphinx_click", "reference_pages"]
exclude_patterns = ["**.ipynb_checkpoints"]

# Notebooks are shown with their stored outputs; the tests run them.
nb_execution_mode = "off"
# Stored tables are plain HTML, so that no page needs the script of ipywidgets, which would come from a CDN.
nb_ipywidgets_js = {}
nb_mime_priority_overrides = [("html", "image/png", 5), ("html", "text/html", 10), ("html", "text/plain", 20)]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

# Docstrings write names in single backticks.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
numpydoc_show_class_members = False
# The columns of frames, of which the pages have links instead.
warnings.filterwarnings("ignore", "Unknown section `")
# Types of private parts in the signatures of public classes.
nitpick_ignore = [("py:class", "iamframe.checks.evidence.Evidence"), ("py:class", "iamframe.knowledge.makers.Form")]
nitpick_ignore_regex = [
    # Signatures show types as the source writes them: short names, and types of pandas, boto3 and the standard
    # library, whose inventories are not there offline. Full names of iamframe must resolve.
    ("py:class", r"(?!iamframe\.).*"),
]

html_theme = "pydata_sphinx_theme"
html_title = f"iamframe {release}"
html_context = {"default_mode": "auto"}
html_static_path = ["_static"]
html_css_files = ["iamframe.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "iamframe"},
    "header_links_before_dropdown": 7,
    "navigation_depth": 3,
    "show_nav_level": 1,
    "show_prev_next": False,
    "navbar_end": ["theme-switcher"],
    "navbar_persistent": ["search-button"],
    "footer_start": ["copyright"],
    "footer_end": [],
    # Elsewhere, wide tables, code and pictures have the whole width.
    "secondary_sidebar_items": {
        pattern: ["page-toc"]
        for pattern in ("start", "concepts", "recipes", "contributing", "guides/*", "reference/*", "reference/api/*")
    },
}
html_sidebars = {"start": [], "concepts": [], "recipes": []}
