"""What the pages of docs/clients/ show, as what can be run: a test changes the gateway's port and the model's name, nothing else.

A page's code stands alone, unless the page has a section "With any of them": its code then follows each of those before it.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

PAGES: Final = sorted((Path(__file__).parents[1] / "docs" / "clients").glob("*.md"))
MODELS: Final = ("claude-sonnet-4-5", "gemini-2.5-flash", "gpt-4o")  # which the pages name
ADDRESS: Final = "http://127.0.0.1:9000"
_BLOCK: Final = re.compile(r"^```(\w+)\n(.*?)^```", re.M | re.S)
_INSTALL: Final = re.compile(r"(pip|npm) install (?:-g )?(.+)")
_MODEL: Final = re.compile("|".join(map(re.escape, MODELS)))
_SHARED: Final = "\n## With any of them\n"


class Recipe(Struct, frozen=True):
    """Code of one page. `needs`: what the page installs for it, in the installer's own words."""

    name: str
    kind: str
    code: str
    needs: tuple[str, ...]

    def at(self, url: str, model: str | None = None) -> str:
        """The code for a gateway at `url`, every model that it names now being `model`."""
        code = self.code.replace(ADDRESS, url)
        return _MODEL.sub(model, code) if model else code


def recipes() -> list[Recipe]:
    """Of all pages, in their order."""
    return [recipe for page in PAGES for recipe in _of(page.stem, page.read_text())]


def _of(name: str, text: str) -> Iterator[Recipe]:
    own, _, shared = text.partition(_SHARED)
    after = "".join("\n" + code for _, code in _BLOCK.findall(shared))
    needs: tuple[str, ...] = ()
    count = 0
    for kind, code in _BLOCK.findall(own):
        if found := _INSTALL.fullmatch(code.strip()):
            needs = tuple(found[2].replace('"', "").split())
            continue
        count += 1
        yield Recipe(f"{name}-{count}", kind, code + after, needs)
