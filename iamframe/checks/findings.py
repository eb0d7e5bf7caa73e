"""Turn the rows that a check returns into findings, each with an id and a suggested command.

The template of a suggested command can contain

- `{column}`: the value of the column
- `{column:region}`: the option `--region` with the value of the column, or nothing if the value is missing
- `{column:NAME}`: `Name=NAME,Values=VALUE` with the value of the column, for the AWS CLI's option `--filters`

Values are quoted for a POSIX shell.

Instead of one template, there can be a dictionary of templates. Its item `by` is the name of a column. The value of
this column in a finding is the key of the template for this finding. If there is no such key, the template `other` is
used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.inventory import schema
from iamframe.inventory.arrow import Positions, as_arrow, concat, joined_key, shell_quoted
from iamframe.knowledge.operations import NO_VALUE
from iamframe.messages.render import Text, json_text

_KNOWN = frozenset(schema.FINDINGS.names)
_RESOURCE_TYPES = {"profile_arn": "instance-profile", "role_arn": "role"}
_FACTS_TOO = ("relation",)
# The columns that are added after the rule has run.
ADDED = ("account_name", "owner", "owner_known", "detail")
COMMON = schema.FINDINGS.with_columns(*(column for column in schema.FINDINGS.columns if column.name not in ADDED))
_COLUMN_TYPES = {column.name: column.type for column in COMMON.columns}
# The columns of a finding that are shown with its facts.
KEYS = ["finding_id", "account_id", "resource_arn", "resource_name", "related_arn"]
_PLACE = re.compile(r"\{(\w+)(?::([\w.-]+))?\}")
_NULL = pa.scalar(None, pa.string())


@dataclass(frozen=True)
class Found:
    """The findings of a check, and the details (facts) of each finding.

    The Arrow table `table` has one row per finding, and the columns of `COMMON`. The frame `facts` has one or more rows
    per finding. The frame `facts` is sorted by the column `finding`. The column `finding` contains the finding's row
    number in `table`. Columns whose names begin with `_` are not shown. iamframe uses these hidden columns for the text
    of a finding, for the command, and for sorting.
    """

    table: pa.Table
    facts: pd.DataFrame

    @classmethod
    def of(cls, findings: pd.DataFrame, facts: pd.DataFrame) -> Found:
        """Return a `Found` from a frame of findings and a frame of facts."""
        return cls(COMMON.to_arrow(findings).cast(COMMON.arrow), facts)

    @property
    def findings(self) -> pd.DataFrame:
        """The findings as a frame."""
        return COMMON.from_arrow(self.table)

    @property
    def numbers(self) -> Positions:
        """For each row of `facts`, the row number of its finding in `table`."""
        return self.facts["finding"].to_numpy()

    def column(self, name: str) -> pa.Array:
        if name in self.facts:
            return pa.array(self.facts[name], from_pandas=True)
        return self.table[name].take(pa.array(self.numbers))

    def only(self, chosen: Any) -> Found:
        """Return the findings for which a Boolean array is True, with their facts."""
        chosen = np.asarray(chosen, dtype=bool)
        facts = self.facts[chosen[self.numbers]].reset_index(drop=True)
        numbers = (np.cumsum(chosen) - 1)[facts["finding"].to_numpy()]
        return Found(self.table.filter(pa.array(chosen)), facts.assign(finding=numbers))

    def keyed(self, names: Sequence[Any]) -> pd.DataFrame:
        """Return a frame with the key columns of the findings (`KEYS`), and with the given columns of `facts`."""
        keys = self.table.select(KEYS).take(pa.array(self.numbers)).to_pandas()
        keyed: pd.DataFrame = pd.concat([keys, self.facts[names].reset_index(drop=True)], axis="columns")
        return keyed


def findings(
    rows: pd.DataFrame, resource: str, related: str | None = None, facts: pd.DataFrame | None = None, **more: object
) -> Found:
    """Return one finding per row of `rows`.

    Arguments in `more` fill the columns of `COMMON` with the same names. `facts` contains the details of the findings.
    Without `facts`, the other arguments in `more` become the details.
    """
    columns: dict[str, Any] = {"resource_arn": rows[resource], "related_arn": rows[related] if related else None}
    columns["resource_type"] = _RESOURCE_TYPES.get(resource)
    names = {"resource_name": resource, "related_name": related or ""}
    columns |= {name: rows[of.replace("_arn", "_name")] for name, of in names.items() if of in _RESOURCE_TYPES}
    columns |= {name: rows[name] for name in ("account_id", "maker", "maker_basis") if name in rows}
    columns |= {name: value for name, value in more.items() if name in _COLUMN_TYPES}
    if facts is None:
        own = {name: value for name, value in more.items() if _is_fact(name)}
        # Building one frame is faster than adding column after column.
        values = {"finding": np.arange(len(rows))} | {name: _without_index(given) for name, given in own.items()}
        facts = pd.DataFrame(values, index=pd.RangeIndex(len(rows)))
    return Found(_table(columns, len(rows)), facts)


def _is_fact(column: Any) -> bool:
    return column not in _KNOWN or column in _FACTS_TOO


def _without_index(values: Any) -> Any:
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        return pd.array(as_arrow(values), dtype="str")
    return values.array if isinstance(values, pd.Series) else values


def _table(columns: Mapping[str, Any], size: int) -> pa.Table:
    return pa.table({name: array_of(name, given, size) for name, given in columns.items() if given is not None})


def with_column(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.column_names.index(name), table.schema.field(name), values)


def array_of(name: str, values: Any, size: int) -> pa.Array:
    kind = _COLUMN_TYPES.get(name, pa.string())
    if values is None or isinstance(values, (str, bool)):
        return pa.repeat(pa.scalar(values, kind), size)
    array = values if isinstance(values, (pa.Array, pa.ChunkedArray)) else pa.array(values, from_pandas=True)
    return array.cast(kind)


def found_in(rows: pd.DataFrame) -> Found:
    """Return one finding per account, resource, related resource and `_key` in `rows`.

    Each row becomes a row of details.
    """
    missing = pd.Series([None] * len(rows), dtype="str", index=rows.index)
    arn, name = (rows.get(column, missing) for column in ("resource_arn", "resource_name"))
    own = (rows.get(column, missing) for column in ("account_id", "related_arn", "_key"))
    key = joined_key(*own, arn, name.where(arn.isna() & ("_key" not in rows)))
    codes = np.asarray(key.dictionary_encode().indices)
    order = np.argsort(codes, kind="stable")
    rows, codes = rows.iloc[order].reset_index(drop=True), codes[order]
    known = {name: rows[name] for name in rows.columns if name in _COLUMN_TYPES or name == "_key"}
    facts = rows[[name for name in rows.columns if _is_fact(name) and name != "_key"]]
    first = np.flatnonzero(np.diff(codes, prepend=-1))
    return Found(_table(known, len(rows)).take(pa.array(first)), facts.assign(finding=codes))


def finding_ids(found: Mapping[str, pa.Array], keys: pa.Array | None = None) -> pa.Array:
    named = pc.if_else(found["resource_arn"].is_null(), found["resource_name"], None) if keys is None else keys
    key = joined_key(*(found[name] for name in ("check", "account_id", "resource_arn", "related_arn")), named)
    # pandas' hash of an object array is SipHash with a fixed key: the same in each process.
    hashes = pd.util.hash_array(key.to_numpy(zero_copy_only=False), categorize=False)
    digits = np.frombuffer(hashes.astype(">u8").tobytes().hex().encode(), dtype="S16")
    return pa.array(digits).cast(pa.string())


def next_steps(template: Text, found: Found) -> pa.Array:
    first = pa.array(np.flatnonzero(np.diff(found.numbers, prepend=-1)))

    def column(name: str) -> pa.Array:
        return as_arrow(found.facts[name]).take(first) if name in found.facts else as_arrow(found.table[name])

    if isinstance(template, str):
        return _filled(template, column, len(first))
    by, steps = column(template["by"]), _filled(template["other"], column, len(first))
    for value in (template.keys() - {"by", "other"}) & set(by.unique().to_pylist()):
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
