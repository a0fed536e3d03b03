"""Sphinx settings; `python -m sphinx -n -W -b html docs build/html` builds the pages."""

import re
from pathlib import Path

project = "mpshm"
author = "The mpshm developers"
copyright = author
version_file = Path(__file__).parent.parent / "mpshm" / "_version.py"
release = version = re.search(r'__version__ = "(.*)"', version_file.read_text())[1]

extensions: list[str] = []
exclude_patterns = ["changes", "_build"]
default_role = "code"
primary_domain = "py"
highlight_language = "python"
nitpicky = True
# The standard library's names need no link.
nitpick_ignore_regex = [(r"py:.*", r"(multiprocessing|collections|threading|pickle|concurrent|queue)\b.*")]

html_theme = "furo"
html_title = f"mpshm {release}"
