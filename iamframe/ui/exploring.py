"""Filter, count, group and export findings.

If the filter needs a path or tag that was not collected, it is unknown whether a finding matches. The function
`filtered` returns only findings that certainly match.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.analysis.explain import Explanation, explain
from iamframe.analysis.explain_pair import field, frame_of, note, records, status_note
from iamframe.analysis.owners import count_by_value
from iamframe.checks import Result
from iamframe.checks.registry import STATUSES
from iamframe.checks.result import counts_by_check, some
from iamframe.errors import FilterError, ReportError, require
from iamframe.inventory import schema
from iamframe.inventory.arrow import Bools, as_arrow, index_in, is_in, joined_key, lookup, lookup_flag
from iamframe.inventory.inventory import Inventory
from iamframe.inventory.places import local_path
from iamframe.messages.text import SEVERITIES, pluralize
from iamframe.report.write import write_findings

NO_MAKER = "(none known)"
_TAGGED = {"yes": "tag", "no": "without the tag", "unknown": "not known to have the tag"}
_LISTS = {"accounts": "account", "checks": "check", "severities": "severity", "makers": "maker"}


@dataclass(frozen=True)
class Filter:
    """A filter of findings. `Filter()` lets all findings through.

    A finding matches a path or tag if its resource or its related resource does. If a finding has no related
    resource, the filter also looks at the roles or profiles linked to its resource.

    Attributes
    ----------
    accounts, checks, severities, makers
        The accounts, checks, severities or makers (creators of resources) whose findings are shown. A string counts as
        a list with this string. `NO_MAKER` selects findings about resources whose creator is unknown.
    path
        Consecutive path segments, such as `team/a`, anywhere in the resource's path. Case does not matter. `/`
        matches only the path `/`.
    tag_key
        Key of a tag. Case matters.
    tag_value
        Value of the tag whose key is `tag_key`. Case matters. None means any value.
    tagged
        The value `yes` selects findings whose resources have the tag `tag_key`. The value `no` selects findings whose
        resources do not have this tag. The value `unknown` selects findings whose resources may have this tag, because
        some tags were not collected. If `tag_value` is given, `tagged="no"` also selects findings whose tag has
        another value.
    text
        Words that must all occur in the finding's row, in any column. Case does not matter.

    Raises
    ------
    FilterError
        If `tagged` has another value than `yes`, `no` and `unknown`, or if a filter by tag has no `tag_key`.
    """

    accounts: Iterable[str] = ()
    checks: Iterable[str] = ()
    severities: Iterable[str] = ()
    makers: Iterable[str] = ()
    path: str = ""
    tag_key: str | None = None
    tag_value: str | None = None
    tagged: str = "yes"
    text: str = ""

    def __post_init__(self) -> None:
        for name in _LISTS:
            given = getattr(self, name)
            object.__setattr__(self, name, (given,) if isinstance(given, str) else tuple(given))
        if self.tagged not in _TAGGED:
            raise FilterError(f"tagged={self.tagged!r} is not a state of a tag; use one of {', '.join(_TAGGED)}")
        if self.tag_key is None and (self.tag_value is not None or self.tagged != "yes"):
            raise FilterError("a tag value or tag state is given without a tag key; set tag_key")

    def __str__(self) -> str:
        parts = [f"{_LISTS[name]} {' or '.join(asked)}" for name in _LISTS if (asked := getattr(self, name))]
        if self.path.strip():
            parts.append(f"path {self.path.strip()}")
        if self.tag_key is not None:
            value = "" if self.tag_value is None else f"={self.tag_value}"
            parts.append(f"{_TAGGED[self.tagged]} {self.tag_key}{value}")
        if self.text.strip():
            parts.append(f"text {' '.join(self.text.split())}")
        return "; ".join(parts) or "all"


@schema.shows(schema.FINDINGS)
def filtered(result: Result, wanted: Filter) -> pd.DataFrame:
    """Return the findings that the filter selects.

    The returned frame has rows of `result.findings`, in the same order, with the same columns and index labels. If data
    is missing, an empty frame does not mean that no finding matches. `undecided` returns the findings that may match,
    and `not_complete` shows which checks lack data.

    Raises
    ------
    FilterError
        If the result lacks an account or a check of the filter, or if a severity does not exist.
    """
    return Selection(result, wanted).findings


@schema.shows(schema.FINDINGS)
def undecided(result: Result, wanted: Filter) -> pd.DataFrame:
    """Return the findings that may or may not match the filter, because paths or tags are unknown.

    The returned frame has rows of `result.findings`, in the same order, with the same columns and index labels.
    """
    return Selection(result, wanted).undecided


@schema.shows(schema.COUNTS)
def counts(result: Result, findings: pd.DataFrame, wanted: Filter) -> pd.DataFrame:
    """Return one row per selected check: its number of findings per severity, and its number of accounts per status.

    Rows are sorted by the check's severity, the highest first. The columns `complete`, `partial` and `unknown` show in
    how many accounts the check has this status.
    """
    return Selection(result, wanted).count(findings)


@schema.shows(schema.COVERAGE)
def not_complete(result: Result, wanted: Filter) -> pd.DataFrame:
    """Return the coverage rows of the filter's checks and accounts, without those of the status "complete"."""
    return Selection(result, wanted).not_complete


@schema.shows(schema.FINDINGS_BY_TAG)
def grouped(result: Result, findings: pd.DataFrame, tag_key: str) -> pd.DataFrame:
    """Return the number of findings for each value of a tag.

    The frame has one row per value of the tag. Values with the most findings come first. Findings about resources
    without the tag have a row of their own. One more row counts findings about resources whose tags were not collected.
    The case of the key matters: `owner` does not include `Owner`. A finding is counted twice if its role and profile
    have different values. `iamframe.findings_by_owner` counts no finding twice, and leaves out accepted findings.
    """
    sides = _FindingResources(_inventory_of(result), findings)
    carried, unread = sides.carried(tag_key)
    bare = np.flatnonzero(~sides.any(carried["finding"]))
    others = pd.DataFrame({"finding": bare, "tagged": np.where(unread[bare], "unknown", "no")})
    rows = pd.concat([carried.assign(tagged="yes"), others]).rename(columns={"value": "tag_value"})
    rows["severity"] = findings["severity"].take(rows["finding"].to_numpy()).array
    return schema.FINDINGS_BY_TAG.conform(count_by_value(rows, "tag_value", "tagged", [*_TAGGED]))


def tag_keys(result: Result, findings: pd.DataFrame) -> list[str]:
    """Return the sorted tag keys of the resources in the findings. AWS-reserved keys (`aws:`) are left out."""
    tags, sides = _inventory_of(result).tags, _FindingResources(result.inventory, findings)
    shown = tags[is_in(tags["resource_arn"], sides.frame["arn"]) & ~tags["is_aws_reserved"]]
    return sorted(shown["tag_key"].unique())


def tag_values(result: Result, findings: pd.DataFrame, tag_key: str) -> list[str]:
    """Return a sorted list of the values of one tag, taken from the resources in the findings."""
    carried, _ = _FindingResources(_inventory_of(result), findings).carried(tag_key)
    return sorted(carried["value"].unique())


def paths(result: Result, findings: pd.DataFrame) -> list[str]:
    """Return the sorted IAM paths of the resources in the findings. The list never contains the default path `/`."""
    found = _FindingResources(_inventory_of(result), findings).frame["path"].dropna().unique()
    return sorted(path for path in found if path != "/")


def card(result: Result, row: int) -> Explanation:
    """Return one finding, the status of its check, and everything known about its resources.

    The parameter `row` is the finding's label in the index of `result.findings`. The first section is about the
    finding. The other sections are those that `explain` returns.

    Raises
    ------
    FilterError
        If the result has no such finding.
    """
    inventory = _inventory_of(result)
    if row not in result.findings.index:
        raise FilterError(f"there is no finding {row}; use a label of the index of result.findings")
    finding, coverage = result.findings.loc[[row]], result.coverage
    (one,) = records(finding)
    rows = coverage[(coverage["account_id"] == one["account_id"]) & (coverage["check"] == one["check"])]
    fields = one | {"expected": note("by_its_maker") if one["expected"] else None}
    each = (status_note(of, "status") if of["message"] else of["status"] for of in records(rows))
    fields["check_status"] = next(each, "unknown")
    notes = {
        name: value if isinstance(value, dict) else str(value) for name, value in fields.items() if value is not None
    }
    frame = frame_of(field(name.replace("_", " "), note=said, section="finding") for name, said in notes.items())
    named = _name_to_explain(inventory, one)
    if named is not None:
        frame = pd.concat([frame, explain(result, named).to_frame()], ignore_index=True)
    return Explanation(named or "", frame)


def _inventory_of(result: Result) -> Inventory:
    require("iamframe.exploring", result, Result, instead="what `iamframe.run_checks` gives")
    return result.inventory


def _name_to_explain(inventory: Inventory, one: dict[str, Any]) -> str | None:
    for arn in (one["resource_arn"], one["related_arn"]):
        asked = pa.array([arn], pa.string())
        if is_in(asked, inventory.profiles["profile_arn"])[0] or is_in(asked, inventory.roles["role_arn"])[0]:
            return str(arn)
    # The finding may be about a consumer whose profile no longer exists.
    references = inventory.references
    naming = references["named"][references["consumer_arn"] == one["resource_arn"]]
    return str(naming.iloc[0]) if len(naming) else None


def export(
    result: Result,
    wanted: Filter,
    folder: str | os.PathLike[str] = "iamframe-export",
    *,
    mask: bool | str | os.PathLike[str] = False,
) -> Path:
    """Write the filtered findings into a folder, and return the path of the HTML page.

    The export writes all three files or none: `findings.html`, `findings.csv` and `coverage.csv`. The top of the page
    shows which filter was used. The parameter `mask` has the same meaning as in `write_report`.

    Raises
    ------
    FilterError
        If the result lacks an account or a check of the filter, or if a severity does not exist.
    ReportError
        If the folder contains a report, because the export would overwrite the report's `findings.csv`. `export` also
        raises `ReportError` if the folder cannot be written, or if `write_report` would refuse `mask`.
    """
    place = local_path("export", folder)
    if (place / "summary.json").exists():
        raise ReportError(f"{place}: holds a report, whose findings.csv would be written over; name another folder")
    selection = Selection(result, wanted)
    sure, maybe = selection.findings, len(selection.undecided)
    narrowed = replace(
        result.only(sure["finding_id"]),
        coverage=selection.coverage.reset_index(drop=True),
        checks={name: result.checks[name] for name in selection.checks},
    )
    # A part of an id is not recognized as an id, but could still reveal it.
    shown = replace(wanted, text="(not shown)") if mask not in (False, None) and wanted.text.strip() else wanted
    said = f"{len(sure):,} of {pluralize(len(result.findings), 'finding')}. Filter: {shown}."
    heading = " ".join(filter(None, (said, undecided_text(maybe))))
    return write_findings(narrowed, place, heading, mask, undecided=maybe)


def undecided_text(count: int) -> str:
    """Return a sentence with the number of findings that may match the filter. The text is empty if `count` is 0."""
    if not count:
        return ""
    return f"{pluralize(count, 'more finding')} may match: the path or tags of the resource were not collected."


class Selection:
    """The findings, checks and coverage rows that a filter selects from a result."""

    def __init__(self, result: Result, wanted: Filter) -> None:
        require("iamframe.exploring", wanted, Filter, instead="an `iamframe.exploring.Filter`")
        known = {
            "account": (wanted.accounts, _inventory_of(result).accounts["account_id"].tolist()),
            "check": (wanted.checks, result.checks),
            "severity": (wanted.severities, SEVERITIES),
        }
        for what, (asked, there) in known.items():
            for name in asked:
                if name not in there:
                    raise FilterError(f"the result has no {what} {name!r}; there are {some(there)}")
        self.result, self.wanted = result, wanted
        self.checks = tuple(name for name in result.checks if name in wanted.checks or not wanted.checks)
        sure, maybe = self._judge()
        self.findings, self.undecided = result.findings[sure], result.findings[maybe & ~sure]

    @cached_property
    def coverage(self) -> pd.DataFrame:
        """The rows of the frame `coverage` for the selected checks and accounts."""
        coverage = self.result.coverage
        return coverage[self._matches(coverage, check=self.wanted.checks, account_id=self.wanted.accounts)]

    @property
    def not_complete(self) -> pd.DataFrame:
        """The selected coverage rows whose status is not "complete"."""
        return self.coverage[self.coverage["status"] != "complete"]

    def count(self, findings: pd.DataFrame) -> pd.DataFrame:
        order = {name: SEVERITIES.index(self.result.checks[name].severity) for name in self.checks}
        checks = sorted(order, key=order.__getitem__)
        columns: dict[str, object] = {"check": checks}
        columns["findings"] = findings["check"].value_counts().reindex(checks, fill_value=0).to_numpy()
        for frame, column, values in ((findings, "severity", SEVERITIES), (self.coverage, "status", STATUSES)):
            each = counts_by_check(frame, column, checks, values)
            columns |= {value: each[value].to_numpy() for value in values}
        return schema.COUNTS.conform(columns)

    @staticmethod
    def _matches(frame: pd.DataFrame, **asked: Iterable[str]) -> Bools:
        mask = np.ones(len(frame), dtype=bool)
        for column, values in asked.items():
            if values:
                mask &= is_in(frame[column], pa.array(values, pa.string()))
        return mask

    def _judge(self) -> tuple[Bools, Bools]:
        findings, wanted = self.result.findings, self.wanted
        asked = {"account_id": wanted.accounts, "check": wanted.checks, "severity": wanted.severities}
        makers = findings.assign(maker=findings["maker"].fillna(NO_MAKER)) if wanted.makers else findings
        sure = self._matches(makers, maker=wanted.makers, **asked)
        if words := wanted.text.split():
            sure &= _with_words(findings, words)
        maybe = sure.copy()
        path = wanted.path.strip().lower()
        if path or wanted.tag_key is not None:
            sides = _FindingResources(self.result.inventory, findings)
            judged = [sides.on_path(path)] if path else []
            for hit, unread in [*judged, *([sides.tagged(wanted)] if wanted.tag_key is not None else [])]:
                sure &= hit
                maybe &= hit | unread
        return sure, maybe


def _with_words(findings: pd.DataFrame, words: list[str]) -> Bools:
    columns = [findings[name] for name in findings.columns if findings[name].dtype == "str"]
    rows = pc.utf8_lower(joined_key(*columns))
    hit = np.ones(len(findings), dtype=bool)
    for word in words:
        hit &= np.asarray(pc.match_substring(rows, pc.utf8_lower(pa.scalar(word)).as_py()))
    return hit


class _FindingResources:
    def __init__(self, inventory: Inventory, findings: pd.DataFrame) -> None:
        self.tags, self.size = inventory.tags, len(findings)
        sides = self._arns(inventory, findings)
        resources = pd.concat(
            [
                frame[[f"{side}_arn", f"{side}_path", "tags_known"]].set_axis(["arn", "path", "tags_known"], axis=1)
                for side, frame in (("profile", inventory.profiles), ("role", inventory.roles))
            ]
        )
        at, arns = index_in(sides["arn"], resources["arn"]), as_arrow(sides["arn"])
        # An account has neither path nor tags. A consumer has no path, and iamframe does not collect its tags.
        account, unseen = np.asarray(pc.ends_with(arns, ":root")), np.asarray(pc.starts_with(arns, "name:"))
        self.frame = sides.assign(
            path=pd.Series(lookup(resources["path"], at).to_pandas(), dtype="str").to_numpy(),
            has_path=(at >= 0) | unseen,
            tags_known=account | lookup_flag(resources["tags_known"], at, otherwise=False),
        )

    @staticmethod
    def _arns(inventory: Inventory, findings: pd.DataFrame) -> pd.DataFrame:
        numbers = np.arange(len(findings))
        both = [pd.DataFrame({"finding": numbers, "arn": findings[of].array}) for of in ("resource_arn", "related_arn")]
        own = pd.concat(both).dropna()
        # A finding about one side of a link is also about the other side.
        one = own[~own["finding"].duplicated(keep=False)]
        links = inventory.links
        near = links[is_in(links["profile_arn"], one["arn"]) | is_in(links["role_arn"], one["arn"])]
        linked = [
            one.merge(near, left_on="arn", right_on=own_side)[["finding", other]].rename(columns={other: "arn"})
            for own_side, other in (("profile_arn", "role_arn"), ("role_arn", "profile_arn"))
        ]
        return pd.concat([own, *linked], ignore_index=True).drop_duplicates()

    def any(self, positions: pd.Series) -> Bools:
        flags = np.zeros(self.size, dtype=bool)
        flags[positions.to_numpy(dtype=int)] = True
        return flags

    def on_path(self, path: str) -> tuple[Bools, Bools]:
        """Return two masks: findings with the segment(s) `path` in their path, and findings with an unknown path."""
        frame, segments = self.frame, path.strip("/")
        paths = pc.utf8_lower(as_arrow(frame["path"]))
        on = pc.match_substring(paths, f"/{segments}/") if segments else pc.equal(paths, "/")
        hit = self.any(frame["finding"][np.asarray(pc.fill_null(on, False))])
        return hit, self.any(frame["finding"][frame["path"].isna() & frame["has_path"]])

    def tagged(self, wanted: Filter) -> tuple[Bools, Bools]:
        """Return two masks: findings whose tags match, and findings whose tags may match."""
        carried, unread = self.carried(str(wanted.tag_key))
        matching = carried if wanted.tag_value is None else carried[carried["value"] == wanted.tag_value]
        yes = self.any(matching["finding"])
        if wanted.tagged == "yes":
            return yes, unread
        if wanted.tagged == "no":
            return ~yes & ~unread, ~yes & unread
        return ~yes & unread, np.zeros_like(yes)

    def carried(self, tag_key: str) -> tuple[pd.DataFrame, Bools]:
        """Return the tag values of each finding's role and profile, and a mask of findings with unknown tags."""
        tags, sides = self.tags, self.frame
        shown = tags[
            np.asarray(pc.equal(as_arrow(tags["tag_key"]), tag_key)) & is_in(tags["resource_arn"], sides["arn"])
        ]
        at = index_in(sides["arn"], shown["resource_arn"])
        values = lookup(shown["tag_value"], at[at >= 0])
        each = {"finding": sides["finding"][at >= 0].to_numpy(), "value": pd.Series(values.to_pandas(), dtype="str")}
        return pd.DataFrame(each).drop_duplicates(), self.any(sides["finding"][~sides["tags_known"]])
