"""The next command of a finding: the check's template, filled from the finding's facts.

A template is a text with placeholders, such as `{column}`. The value of the column replaces the placeholder, quoted as
one word of a POSIX shell. A template may also be a table of texts. Its entry `by` names a column, and the value of that
column selects a text. `{column:region}` becomes the option `--region`, or nothing if the region is unknown.
`{column:FILTER}` becomes a value of the AWS CLI's option `--filters`, for the filter named FILTER.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.checks.findings import Found
from iamframe.inventory.arrow import as_arrow, concat, shell_quoted
from iamframe.knowledge.operations import NO_VALUE
from iamframe.messages.render import Text, json_text

_PLACE = re.compile(r"\{(\w+)(?::([\w.-]+))?\}")
_NULL = pa.scalar(None, pa.string())


def next_steps(template: Text, found: Found) -> pa.Array:
    """Return the command of each finding.

    A command is missing if one of its values begins like `file://`, because the AWS CLI would read that file. The value
    of a placeholder comes from the finding's first row of facts. If the facts have no such column, it comes from the
    columns of the finding.
    """
    first = pa.array(np.flatnonzero(np.diff(found.facts["finding"], prepend=-1)))

    def column(name: str) -> pa.Array:
        facts = name in found.facts
        return as_arrow(found.facts[name]).take(first) if facts else as_arrow(found.findings[name])

    if isinstance(template, str):
        return _filled(template, column, len(first))
    by, steps = column(template["by"]), _filled(template["other"], column, len(first))
    for value in template.keys() - {"by", "other"}:
        chosen = pc.fill_null(pc.equal(by, value), False)
        steps = pc.if_else(chosen, _filled(template[value], column, len(first)), steps)
    return steps


def _filled(template: str, column: Callable[[str], pa.Array], size: int) -> pa.Array:
    text, *rest = _PLACE.split(template)
    parts = [pa.repeat(pa.scalar(text), size)]
    for name, how, literal in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
        parts += [_word(column(name), how), literal]
    return concat(*parts)


def _word(values: pa.Array, how: str | None) -> pa.Array:
    if how == "region":
        known = pc.fill_null(pc.not_equal(values, "unknown"), False)
        return pc.if_else(known, concat(" --region=", shell_quoted(values)), "")
    if how:
        # The AWS CLI's shorthand has no safe way to write a comma or a quote.
        plain = pc.match_substring_regex(values, r"^[A-Za-z0-9:/_.-]+$")
        as_json = concat(f'[{{"Name":"{how}","Values":[', json_text(values), "]}]")
        values = pc.if_else(plain, concat(f"Name={how},Values=", values), as_json)
    return shell_quoted(pc.if_else(pc.match_substring_regex(values, NO_VALUE.pattern), _NULL, values))
