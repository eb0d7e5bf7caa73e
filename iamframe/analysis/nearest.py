"""Names that are similar to what a user typed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.inventory.arrow import as_arrow

# The number of names that are compared letter by letter.
_COMPARED = 500


def nearest(name: str, columns: Iterable[pd.Series], count: int = 5) -> list[str]:
    """Return the most similar names, the best match first."""
    names = pc.unique(pa.chunked_array([as_arrow(column) for column in columns]).drop_null())
    wanted, lower = name.lower(), pc.utf8_lower(names)
    # A typing error keeps most letters, so only the names that share the most letters are compared.
    size = max(1, len(wanted) // 4)
    alike = np.zeros(len(names))
    for piece in {wanted[at : at + size] for at in range(0, len(wanted), size)}:
        alike += np.asarray(pc.match_substring(lower, piece)) * len(piece)
    likest = np.argsort(-alike / (len(wanted) + np.asarray(pc.utf8_length(lower))), kind="stable")[:_COMPARED]
    spelled = dict(zip(*(values.take(pa.array(likest)).to_pylist() for values in (lower, names)), strict=True))
    return [spelled[one] for one in difflib.get_close_matches(wanted, spelled, count)]
