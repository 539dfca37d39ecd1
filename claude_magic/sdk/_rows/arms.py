"""The ways in which each row is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to send a row: the values of a variant, by name, and a model; `None` is the default model."""

    variant: Mapping[str, object] = field(default_factory=dict)
    model: str | None = None

    @property
    def variant_label(self) -> str:
        """The variant's name for a reader."""
        return ", ".join(map(str, self.variant.values()))

    @property
    def label(self) -> str:
        """The arm's name for a reader: `formal, sonnet`."""
        return ", ".join(filter(None, (self.variant_label, self.model)))


ONE_ARM = (Arm(),)
"""A run that compares nothing."""
