"""The pages: MyST Markdown, and a reference that is made from the docstrings."""

import sys
from pathlib import Path

import resight

sys.path.insert(0, str(Path(__file__).parent))

project = "resight"
author = "The resight developers"
release = resight.__version__
html_title = f"resight {release}"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode", "reference_pages"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["pages.css"]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4

# Docstrings write names in single backticks: links where the name is on a page, and code where it is not.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_type_aliases = {
    name: name.rpartition(".")[2]
    for name in ("npt.ArrayLike", "Floats", "Doubles", "Ints", "Mask", "Data", "Model", "Picture", "Exclude")
}
autodoc_class_signature = "separated"
autodoc_default_options = {"members": True, "exclude-members": "__init__, __new__"}
python_use_unqualified_type_names = True
add_module_names = False
napoleon_use_ivar = True
napoleon_use_rtype = False
