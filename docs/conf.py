"""How the pages in this folder become a site: `make docs`."""

from __future__ import annotations

import inspect
from importlib import import_module
from os.path import relpath
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer
from sphinx.transforms import SphinxTransform

import driftline

project = "driftline"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 3  # as a code host has them

html_title = "driftline"
html_theme = "furo"
html_copy_source = False
html_static_path = ["static"]
html_css_files = ["pages.css"]
html_show_copyright = False

default_role = "py:obj"  # a name between backticks in a docstring is a link, if it is public
autodoc_default_options = {
    "members": True,
    "inherited-members": "ObjectReceiveStream,TypedAttributeProvider,BaseException,dict,tuple",
}
napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
toc_object_entries_show_parents = "hide"
python_maximum_signature_line_length = 80
nitpick_ignore_regex = [
    ("py:obj", "(?s).*"),  # otherwise it is code
    ("py:class|py:exc", r"(anyio|collections|websockets)\..*"),
    ("py:class", r"(.*\.)?[TVK]"),
    ("py:class", r".*\.(TopicSettings|Place)"),  # which are described in words
]

HOMES = {
    "driftline": ("_bus", "_core"),
    "driftline.hub": ("_hub",),
    "driftline.protocol": ("_protocol",),
    "driftline.websockets": ("_websockets",),
}
"""Where that is written which users import from a module, and which says that it is from there."""


SNAPSHOTS = {
    "driftline.BusRates",
    "driftline.BusStatistics",
    "driftline.LagEvent",
    "driftline.Message",
    "driftline.SubscriptionStatistics",
    "driftline.TopicStatistics",
    "driftline.websockets.ClientStatistics",
    "driftline.websockets.FanOutStatistics",
}
"""What users get and never make; each field is described, so arguments would say it twice."""


def find_words_about_attributes() -> None:
    """Have them found, and the order of what is in a class, where users import it from."""
    private = [module.name for module in walk_packages(driftline.__path__, "driftline.")]
    for public, packages in HOMES.items():
        found = ModuleAnalyzer.for_module(public)
        found.analyze()
        for name in private:
            if name.split(".")[1] in packages:
                written = ModuleAnalyzer.for_module(name)
                written.analyze()
                found.attr_docs |= written.attr_docs
                found.tagorder |= written.tagorder
                for word, meaning in vars(import_module(name)).items():  # for annotations
                    vars(import_module(public)).setdefault(word, meaning)


def without_what_is_not_for_users(
    app: Sphinx, kind: str, name: str, item: Any, options: Any, signature: str, returned: str
) -> tuple[str, str] | None:
    """Show no arguments of a class that users get from a method, and never make themselves."""
    made = inspect.getdoc(item.__init__) if kind == "class" else None
    is_given = name in SNAPSHOTS or (made and made.startswith("Not for users"))
    return ("", returned) if is_given else None


class LinksToOutside(SphinxTransform):
    """Links to what is no page here, as a code host has them.

    A page elsewhere in the repository is a download, as other files are; a folder is only named.
    """

    default_priority = 500

    def apply(self, **_: Any) -> None:
        """Replace those of one page."""
        folder = Path(self.env.doc2path(self.env.docname)).parent
        for link in list(self.document.findall(addnodes.pending_xref)):
            target = link["reftarget"]
            if link["refdomain"] == "doc" and target not in self.env.found_docs:
                file = relpath(f"{target}.md", folder)
                download = addnodes.download_reference("", "", *link.children, reftarget=file)
                link.replace_self(download)
            elif link["refdomain"] is None and (folder / target).is_dir():
                link.replace_self(link.children)


def setup(app: Sphinx) -> None:
    """Add what is above."""
    find_words_about_attributes()
    app.connect("autodoc-process-signature", without_what_is_not_for_users)
    app.add_transform(LinksToOutside)
