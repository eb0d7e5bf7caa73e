"""Names that are nearly what somebody typed."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.inventory.arrow import as_arrow

_ALIKE = 0.5


def nearest(name: str, columns: Iterable[pd.Series], count: int = 5) -> list[str]:
    """Return the names that are most like one, the likest first; none where nothing is alike."""
    wanted = name.lower()
    names = pc.unique(pa.chunked_array([as_arrow(column) for column in columns]).drop_null())
    if not wanted or not len(names):
        return []
    lower = pc.utf8_lower(names)
    # Only names that share the most of three letters in a row, and those that have the most letters in common, in
    # whatever order, are compared letter by letter.
    threes = {wanted[at : at + 3] for at in range(max(len(wanted) - 2, 1))}
    shared = np.sum([np.asarray(pc.match_substring(lower, three), dtype=np.int64) for three in threes], axis=0)
    counts = {letter: np.asarray(pc.count_substring(lower, letter)) for letter in wanted}
    common = np.sum([np.minimum(counts[letter], number) for letter, number in Counter(wanted).items()], axis=0)
    alike = common / (len(wanted) + np.asarray(pc.utf8_length(lower)))
    best, mixed = (np.argsort(-score, kind="stable")[:200] for score in (shared, alike))
    spelled = dict(zip(lower.to_pylist(), names.to_pylist(), strict=True))
    likeness: dict[str, float] = {}
    for one in lower.take(pa.array(best[shared[best] > 0])).to_pylist():
        if (ratio := difflib.SequenceMatcher(None, one, wanted).ratio()) >= _ALIKE:
            likeness[one] = ratio
    for one in lower.take(pa.array(mixed)).to_pylist():
        few = max(1, len(wanted) // 5)
        if abs(len(one) - len(wanted)) <= few and (slips := _slips(wanted, one)) <= few:
            likeness[one] = max(likeness.get(one, 0), 1 - slips / max(len(wanted), len(one)))
    return [spelled[one] for one in sorted(likeness, key=lambda one: (-likeness[one], one))[:count]]


def _slips(one: str, other: str) -> int:
    """Return how many letters are missing, too many, other, or have changed places with the next."""
    before, last = list(range(len(other) + 1)), [0] * (len(other) + 1)
    for at, letter in enumerate(one, 1):
        now = [at]
        for place, wanted in enumerate(other, 1):
            fewest = min(before[place] + 1, now[-1] + 1, before[place - 1] + (letter != wanted))
            if at > 1 and place > 1 and letter == other[place - 2] and one[at - 2] == wanted:
                fewest = min(fewest, last[place - 2] + 1)
            now.append(fewest)
        last, before = before, now
    return before[-1]
