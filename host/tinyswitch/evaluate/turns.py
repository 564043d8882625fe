"""An order in which classes take turns, so that the first few are of all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def taking_turns(found: Sequence[T], label: Callable[[T], int | str]) -> list[T]:
    """The first of each class, then the second of each, and so on; classes in the order of their labels."""
    seen: Counter[int | str] = Counter()
    turns = []
    for one in found:
        turns.append((seen[label(one)], label(one)))
        seen[label(one)] += 1
    return [found[i] for i in sorted(range(len(found)), key=lambda i: turns[i])]
