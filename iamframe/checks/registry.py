"""What a check is, how it is registered under its own name, and how checks are run. No rule stands here."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.checks.policy import Policy
from iamframe.errors import PolicyError, UnknownCheckError
from iamframe.inventory import cells, schema, views
from iamframe.inventory.columns import joined_key, position, take, texts
from iamframe.inventory.inventory import Inventory
from iamframe.inventory.words import counted, how_many

SEVERITIES = ("high", "medium", "low", "info")
STATUSES = ("complete", "partial", "unknown")
_REASONS_SHOWN = 10
_NAMED = 3

Rule = Callable[..., pd.DataFrame]
Counts = dict[str, list[int]]


@dataclass
class Reach:
    """What was read of each account: what a need looks at to say how far a check can be trusted."""

    inventory: Inventory
    pairs: pd.DataFrame
    lists: pd.DataFrame
    policy: Policy
    counted: dict[str, Counts] = field(default_factory=dict)

    @cached_property
    def refused(self) -> list[tuple[str, str, str]]:
        """Account, operation and reason of all that AWS refused, each once, in the order of `gaps`."""
        gaps = self.inventory.gaps
        gaps = gaps.loc[gaps["reason"].isin(["denied", "throttled", "expired"]), ["account_id", "operation", "reason"]]
        return list(gaps.drop_duplicates().itertuples(index=False, name=None))

    def count(self, name: str, frame: pd.DataFrame, **masks: Any) -> Counts:
        """Return the `rows` of a frame per account, in the order of `accounts`, and those under each mask."""
        if name not in self.counted:
            accounts = self.inventory.accounts["account_id"]
            account = position(frame["account_id"], accounts)
            under = {"rows": np.ones(len(frame), dtype=bool)} | {k: np.asarray(v, bool) for k, v in masks.items()}
            self.counted[name] = {
                what: np.bincount(account[mask & (account >= 0)], minlength=len(accounts)).tolist()
                for what, mask in under.items()
            }
        return self.counted[name]


# Per account in the order of `accounts`: a status and, unless it is complete, the sentence that says why.
Verdicts = list[tuple[str, str]]
Need = Callable[[Reach], Verdicts]


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its rule, and what the rule's signature and docstring say of it."""

    name: str
    severity: str
    rule: Rule
    needs: tuple[Need, ...]
    reads: tuple[str, ...]
    options: tuple[str, ...]
    certainty: str

    @property
    def title(self) -> str:
        """What it finds, in one line: the first of its docstring."""
        return (inspect.getdoc(self.rule) or "").splitlines()[0].rstrip(".")

    @property
    def why(self) -> str:
        """Why that matters and what to do: the rest of its docstring, as one paragraph each."""
        return "\n\n".join(" ".join(part.split()) for part in (inspect.getdoc(self.rule) or "").split("\n\n")[1:])


CHECKS: dict[str, Check] = {}


def check(severity: str, needs: Iterable[Need], certainty: str = "certain") -> Callable[[Rule], Rule]:
    """Register a rule as a check under its own name.

    Its positional parameters name the frames or views that it reads, its keyword-only ones are its options; the first
    line of its docstring is its title everywhere. It returns one row per resource and related resource, with at least
    `resource_arn`, `related_arn` and `detail`, and any other column of `schema.FINDINGS` that it wants to set.

    Raises
    ------
    TypeError
        If a parameter names neither a frame nor a view, or the rule has no docstring: at import.
    """

    def register(rule: Rule) -> Rule:
        parameters = inspect.signature(rule).parameters.values()
        reads = tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD)
        options = tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
        known = schema.FRAMES.keys() | schema.VIEWS.keys()
        if unknown := set(reads) - known:
            raise TypeError(
                f"check {rule.__name__} reads {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}"
            )
        if not rule.__doc__ or severity not in SEVERITIES:
            raise TypeError(f"check {rule.__name__} needs a docstring, and a severity of {', '.join(SEVERITIES)}")
        CHECKS[rule.__name__] = Check(rule.__name__, severity, rule, tuple(needs), reads, options, certainty)
        return rule

    return register


@schema.shows(schema.FINDINGS, schema.COVERAGE)
@dataclass(frozen=True)
class Result:
    """What the checks found, and how far each can be trusted.

    `findings` has one row per resource and related resource of a check, by severity, check and ARN; `coverage` one row
    per account and check: an account without findings of a check has none if its status is `complete`. `pairs` and
    `lists` are the views that the checks read.
    """

    inventory: Inventory
    findings: pd.DataFrame
    coverage: pd.DataFrame
    checks: tuple[str, ...]
    policy: Policy
    pairs: pd.DataFrame
    lists: pd.DataFrame

    @cached_property
    def tag_coverage(self) -> pd.DataFrame:
        """How many roles and profiles of each account carry each tag key."""
        return views.tag_coverage(self.inventory)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row per check: its severity, its findings, those expected or accepted, and its accounts by coverage."""
        counts = self.findings.groupby("check")
        statuses = self.coverage.groupby(["check", "status"]).size().unstack(fill_value=0)
        names = list(self.checks)
        frame = pd.DataFrame(
            {
                "check": names,
                "title": [CHECKS[name].title for name in names],
                "severity": [CHECKS[name].severity for name in names],
                "findings": counts.size().reindex(names, fill_value=0).to_numpy(),
                "expected": counts["expected"].sum().reindex(names, fill_value=0).to_numpy(),
                "accepted": counts["accepted"].count().reindex(names, fill_value=0).to_numpy(),
            }
        )
        for status in STATUSES:
            column = statuses[status] if status in statuses else pd.Series(dtype=int)
            frame[status] = column.reindex(names, fill_value=0).to_numpy()
        return frame

    @property
    def said_complete(self) -> str:
        """How many checks are complete in every account, in words; none is where no account could be told."""
        accounts = len(self.inventory.accounts)
        return how_many(int((self.summary["complete"] == accounts).sum()) if accounts else 0, len(self.checks))

    def __repr__(self) -> str:
        """Return the number of findings by severity, and how many checks are complete, in one line."""
        counts = self.findings["severity"].value_counts()
        by_severity = ", ".join(f"{counts[name]:,} {name}" for name in SEVERITIES if name in counts) or "none"
        return f"Result({counted(len(self.findings), 'finding')}: {by_severity}; {self.said_complete})"

    def _repr_html_(self) -> str:
        """Return what could not be checked, then the checks with their findings, as a notebook shows it."""
        unsure = self.coverage[self.coverage["status"] != "complete"]
        reasons = said_not_complete(unsure)
        summary = self.summary
        columns = ["check", "title", "severity", "findings", "expected", "accepted", *STATUSES]
        head = (*columns[:6], *(f"accounts {status}" for status in STATUSES))
        rows = summary[columns].to_numpy(dtype=object).tolist()
        parts = [cells.line(f"{counted(len(self.findings), 'finding')}; {self.said_complete}.")]
        if reasons:
            parts.append(cells.table(("not complete", "accounts", "why"), reasons[:_REASONS_SHOWN]))
            if len(reasons) > _REASONS_SHOWN:
                parts.append(cells.line(f"and {counted(len(reasons) - _REASONS_SHOWN, 'more reason')}, in .coverage"))
        return "".join([*parts, cells.table(head, rows)])


def said_not_complete(unsure: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Return, of coverage that is not complete, the distinct reasons: checks, accounts, and why, the widest first."""
    told = []
    for (status, reason), rows in unsure.groupby(["status", "reason"], sort=False):
        checks, accounts = rows["check"].unique(), rows["account_id"].unique()
        told.append((len(rows), some(checks), str(status), some(accounts), str(reason)))
    told.sort(key=lambda row: -row[0])
    return [(f"{checks} ({status})", accounts, reason) for _, checks, status, accounts, reason in told]


def some(names: Iterable[str]) -> str:
    """Return names in a row, and how many more there are than three."""
    every = list(names)
    more = f" and {len(every) - _NAMED} more" if len(every) > _NAMED else ""
    return ", ".join(every[:_NAMED]) + more


def selected(only: Iterable[str] | None) -> tuple[str, ...]:
    """Return the names of the checks that are asked for, all of them for None.

    Raises
    ------
    UnknownCheckError
        If one does not exist.
    """
    if only is None:
        return tuple(CHECKS)
    names = [only] if isinstance(only, str) else list(only)
    for name in names:
        if name not in CHECKS:
            raise UnknownCheckError(f"no check {name!r}; there are {', '.join(CHECKS)}")
    return tuple(name for name in CHECKS if name in names)


def run(inventory: Inventory, only: Iterable[str] | None, policy: Policy) -> Result:
    """Run the checks over an inventory: what each finds, conformed to the schema, and how far it can be trusted."""
    names = selected(only)
    if unknown := sorted({one.check for one in policy.acceptances} - CHECKS.keys()):
        raise PolicyError(
            f"{policy.path}: accepts findings of {unknown[0]!r}, which is no check; there are {', '.join(CHECKS)}"
        )
    reach = Reach(inventory, views.pairs(inventory, policy.makers), views.account_lists(inventory), policy)
    frames: dict[str, pd.DataFrame] = inventory.frames | {"pairs": reach.pairs, "lists": reach.lists}
    if any("tag_coverage" in CHECKS[name].reads for name in names):
        frames["tag_coverage"] = views.tag_coverage(inventory)
    parts = []
    for name in names:
        one = CHECKS[name]
        options = {option: policy.options[option] for option in one.options if option in policy.options}
        found = one.rule(*(frames[read] for read in one.reads), **options)
        if len(found):
            parts.append(_conformed(one, found, inventory))
    findings = by_severity(pa.concat_tables(parts) if parts else schema.FINDINGS.arrow.empty_table())
    findings = findings.set_column(findings.column_names.index("accepted"), "accepted", policy.accepted(findings))
    coverage = coverage_of(reach, names, findings)
    return Result(inventory, schema.FINDINGS.from_arrow(findings), coverage, names, policy, reach.pairs, reach.lists)


def _conformed(one: Check, found: pd.DataFrame, inventory: Inventory) -> pa.Table:
    given: Mapping[str, Any] = {name: found[name] for name in found.columns}
    size = len(found)
    arn = texts(found["resource_arn"])
    columns: dict[str, Any] = {
        "check": one.name,
        "severity": one.severity,
        "certainty": one.certainty,
        "expected": False,
        "account_id": None,
        "resource_type": None,
        "resource_name": None,
    } | dict(given)
    if columns["account_id"] is None or columns["resource_type"] is None or columns["resource_name"] is None:
        profile = position(arn, inventory.profiles["profile_arn"])
        role = position(arn, inventory.roles["role_arn"]) if (profile < 0).any() else np.full(size, -1)
        looked_up = {
            name: pc.coalesce(take(inventory.profiles[of_profile], profile), take(inventory.roles[of_role], role))
            for name, of_profile, of_role in (
                ("account_id", "account_id", "account_id"),
                ("resource_name", "profile_name", "role_name"),
            )
        }
        looked_up["resource_type"] = pc.if_else(
            pa.array(profile >= 0),
            "instance-profile",
            pc.if_else(pa.array(role >= 0), "role", pa.scalar(None, pa.string())),
        )
        columns |= {name: value for name, value in looked_up.items() if columns[name] is None}
    expected = columns["expected"]
    if not isinstance(expected, bool):
        columns["severity"] = pc.if_else(pa.array(expected), "info", one.severity)
        # What its maker means so wants nothing done.
        step = _array(columns.get("next_step"), pa.string(), size)
        columns["next_step"] = pc.if_else(pa.array(expected), pa.scalar(None, pa.string()), step)
    table = pa.table(
        [_array(columns.get(c.name), c.type, size) for c in schema.FINDINGS.columns], names=schema.FINDINGS.names
    )
    return table.cast(schema.FINDINGS.arrow)


def _array(values: Any, kind: pa.DataType, size: int) -> pa.Array:
    if values is None or isinstance(values, (str, bool)):
        return pa.repeat(pa.scalar(values, kind), size)
    array = values if isinstance(values, (pa.Array, pa.ChunkedArray)) else pa.array(values, from_pandas=True)
    return array.cast(kind)


def by_severity(findings: pa.Table) -> pa.Table:
    """Return findings by severity, check and ARN."""
    if not len(findings):
        return findings
    severity = pc.index_in(findings["severity"], value_set=pa.array(SEVERITIES))
    keyed = findings.append_column("rank", severity)
    keys = [(name, "ascending") for name in ("rank", "check", "resource_arn", "related_arn", "detail")]
    return findings.take(pc.sort_indices(keyed, keys))


def coverage_of(reach: Reach, names: Iterable[str], findings: pa.Table | pd.DataFrame) -> pd.DataFrame:
    """Return how far each check can be trusted in each account that was read, given what it found.

    Columns are those of `schema.COVERAGE`, one row per account and check, in the order of both.
    """
    # Not by a group-by of Arrow, which takes longer to load than all that is done here.
    each = pc.unique(joined_key(findings["account_id"], findings["check"])).to_pylist()
    found = {tuple(key.rsplit("\x1f", 1)) for key in each}
    accounts = reach.inventory.accounts["account_id"].tolist()
    said: dict[Need, Verdicts] = {}
    rows: dict[str, list[str]] = {name: [] for name in schema.COVERAGE.names}
    by_check = []
    for name in names:
        for need in CHECKS[name].needs:
            if need not in said:
                said[need] = need(reach)
        by_check.append([said[need] for need in CHECKS[name].needs])
    for index, account in enumerate(accounts):
        for name, verdicts in zip(names, by_check, strict=True):
            mine = [verdict[index] for verdict in verdicts]
            rows["account_id"].append(account)
            rows["check"].append(name)
            status = max((status for status, _ in mine), key=STATUSES.index, default="complete")
            # What was found holds, however little was read.
            rows["status"].append("partial" if status == "unknown" and (account, name) in found else status)
            rows["reason"].append("; ".join(dict.fromkeys(reason for _, reason in mine if reason)))
    return schema.COVERAGE.conform(rows)
