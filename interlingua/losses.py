"""What a format could not say. Every formatter reports; none drops in silence."""

from typing import Literal

from msgspec import Struct

How = Literal["dropped", "changed", "added"]


class Loss(Struct, frozen=True):
    path: str  # in the IR's names, "messages[2].parts[0].signature"; the last name may be an extra's own key
    how: How
    why: str = ""


class Losses(list[Loss]):
    """The collector. Called by formatters: `lose("tools[1]", "dropped", "web_search runs only on anthropic")`."""

    def __call__(self, path: str, how: How, why: str = "") -> None:
        self.append(Loss(path, how, why))
