"""The ways in which each row is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to ask: what a variant puts into the template, by name, and a model; `None` is the default one."""

    variant: Mapping[str, object] = field(default_factory=dict)
    model: str | None = None

    @property
    def variant_label(self) -> str:
        """How its variant is named to a reader."""
        return ", ".join(map(str, self.variant.values()))

    @property
    def label(self) -> str:
        """How it is named to a reader: `formal, sonnet`."""
        return ", ".join(filter(None, (self.variant_label, self.model)))


ONE_ARM = (Arm(),)
"""A run that tries nothing."""
