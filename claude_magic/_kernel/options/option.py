"""One row of the table of options: names, values, help, and its counterparts in `%config` and `ask()`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Self

from traitlets import TraitType

from claude_magic._kernel.options.value_kinds import FLAG, Kind


class Described(str):
    """A word that Tab offers, with its meaning, which some frontends show beside it."""

    about: str

    def __new__(cls, word: str, about: str) -> Self:
        described = super().__new__(cls, word)
        described.about = about
        return described


Known = Literal["variables", "functions", "types", "sessions", "turn_numbers", "models", "styles"]
"""What a kernel knows for Tab; for each, `completion.KernelNames` has a method of that name."""

Offers = Known | tuple[str, ...]
"""What Tab offers after an option, or after a word of `%claude_session`: what the kernel knows, or always the same words."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option of `%%claude`; `name` is its field in `Options`.

    `value` is the name of its value in the help; if it ends with `...`, the option takes several. `sample` is an example of a
    value. `offers` is what Tab offers as the value; without it Tab offers options. `trait` is its default in
    `%config ClaudeMagics`. `sets` is the field of `TurnOptions` that it sets. `in_ask` says whether `ask()` takes it; a string
    is the parameter's name.
    """

    help: str
    value: str = ""
    sample: str = ""
    kind: Kind = FLAG
    short: str = ""
    offers: Offers | None = None
    trait: TraitType[Any, Any] | None = None
    sets: str | None = None
    in_ask: bool | str = False
    name: str = ""

    def as_field(self) -> Any:
        """Return the field of a dataclass that holds what was chosen, with this option in the metadata."""
        return field(default=self.default, metadata={"option": self})

    @property
    def names(self) -> tuple[str, ...]:
        """How its name is typed: the short form, if there is one, and the long form."""
        long = f"--{self.name.replace('_', '-')}"
        return (self.short, long) if self.short else (long,)

    @property
    def example(self) -> str:
        """An example of how it is typed."""
        return f"{self.names[-1]} {self.sample}".rstrip()

    @property
    def setting(self) -> str:
        """The name of its trait: the name of its parameter of `ask()` if `in_ask` gives one, else `name`."""
        return self.in_ask if isinstance(self.in_ask, str) else self.name

    @property
    def parameter(self) -> str | None:
        """The name of its parameter of `ask()`; `None` if it has none."""
        return self.setting if self.in_ask else None

    @property
    def default(self) -> object:
        """Its value if it is not given."""
        return () if self.several else self.kind.default

    @property
    def several(self) -> bool:
        """Whether it takes several values."""
        return self.value.endswith("...")

    @property
    def usage(self) -> str:
        """How it is typed."""
        return f"{', '.join(self.names)} {self.value}".rstrip()
