"README.md is nbs/index.ipynb as Markdown. Usage: python tests/readme.py TARGET"

import re
import sys
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter

here = Path(__file__).resolve().parents[1]
notebook = nbformat.read(here / "nbs/index.ipynb", 4)
notebook.metadata["language_info"] = {
    "name": "python"
}  # for the code fences; cleaning removes it from the file
notebook.cells = [c for c in notebook.cells if not re.match(r"#\|\s*hide", c.source)]
text, _ = MarkdownExporter().from_notebook_node(notebook)
# links to notebooks are relative to the notebook there, and to the repository here
text = re.sub(r"\]\((?!\w+:|#|nbs/)([^)\s]+\.ipynb[^)\s]*)\)", r"](nbs/\1)", text)
Path(sys.argv[1]).write_text(re.sub(r"\n{3,}", "\n\n", text).strip() + "\n", encoding="utf-8")
