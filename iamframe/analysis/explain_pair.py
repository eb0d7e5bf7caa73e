"""Explain one profile with its role, one profile without a role, or one role without a profile."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iamframe.analysis.plan.plan import why_not_planned
from iamframe.checks import CHECKS, Result
from iamframe.checks.coverage import required_tags
from iamframe.inventory import schema
from iamframe.inventory.linking import profile_ids, without_path
from iamframe.knowledge.arn import PROFILE_TYPE, ROLE_TYPE, name_of, partition_of
from iamframe.knowledge.makers import tool_rules
from iamframe.knowledge.operations import ALL, DUMP, PROFILE, ROLE_LINKS, UNKNOWN_REGION, aws_command, proving
from iamframe.knowledge.policies import namesake_of, power_of
from iamframe.knowledge.surfaces import known_facts
from iamframe.knowledge.trust import statements_of
from iamframe.messages.render import Message, columns_of, joint, nested, render, say
from iamframe.sources.cloudtrail import LOOKUP, TRAIL

NOT_COLLECTED = "not collected"
# The field for a role and a profile without tags.
ALL_TAGS = "all tags"
# AWS's own message, from a recorded response; tests compare it with the practice account.
CONFLICT = "DeleteConflict: Cannot delete entity, must remove roles from instance profile first."
# The two sides of a link, in the order of the output, with their types.
TYPE_OF = {"profile": PROFILE_TYPE, "role": ROLE_TYPE}
Row = dict[str, Any]
_TAKES_AWAY = ("aws iam delete-", "aws iam remove-")
_REFUSED = {
    "remove": "take the role out of the profile",
    "delete": "delete the profile",
    "tag": "copy the role's tags to the profile",
}
# Fields that are columns of `roles`.
_OF_ROLE = {
    "description": "description",
    "longest session (seconds)": "max_session_seconds",
    "permissions boundary": "permissions_boundary_arn",
    "role template": "role_template_arn",
}


def field(
    name: str, profile: object = None, role: object = None, note: str | Message | None = None, **more: Any
) -> Row:
    message = {"message": "explain.value", "value": note} if isinstance(note, str) else note
    return {"field": name, "profile": profile, "role": role, "note": message, **more}


def frame_of(fields: Iterable[Row]) -> pd.DataFrame:
    rows = pd.DataFrame(list(fields), columns=schema.EXPLANATION.names)
    message, facts = columns_of(rows["note"])
    columns = {"note": render(message, facts), "message": message, "facts": facts}
    known = {name: pc.if_else(pc.equal(message, ""), None, values) for name, values in columns.items()}
    return schema.EXPLANATION.conform({**rows, **known})


def note(name: str, **facts: Any) -> dict[str, Any]:
    return {"message": f"explain.{name}", **facts}


def gap_note(row: Row) -> Message:
    # Older snapshots store a gap only as a sentence.
    return nested(row["message"], row["facts"]) if row.get("message") else note("value", value=row["detail"])


def status_note(row: Row, name: str = "coverage", prefix: str = "", **facts: Any) -> dict[str, Any]:
    status, message, values = (row[f"{prefix}{column}"] for column in ("status", "message", "facts"))
    facts |= {"status": status, "reason": nested(message, values) if message else note("all_regions")}
    return note(name, **facts)


def records(frame: pd.DataFrame) -> list[Row]:
    """Return the rows of a frame as dictionaries, with None for missing values."""
    rows: list[Row] = pa.Table.from_pandas(frame, preserve_index=False).to_pylist()
    return rows


def records_by(key: str, frame: pd.DataFrame) -> defaultdict[str | None, list[Row]]:
    groups = defaultdict(list)
    for row in records(frame):
        groups[row[key]].append(row)
    return groups


def bare_name(arn: str) -> str:
    return name_of(arn.removeprefix("name:"))


def consumer(reference: Row) -> str:
    return f"{reference['consumer_type']} {reference['consumer_id']}"


def used_note(reference: Row, profile: Row | None, *more: Message | None) -> Message:
    version, ids = reference["consumer_version"], [reference["profile_id"], profile and profile["profile_id"]]
    then, now = profile_ids(pa.array(ids, pa.string())).to_pylist()
    parts = [note("unknown_region") if reference["region"] == UNKNOWN_REGION else reference["region"]]
    name = reference["consumer_name"]
    parts += [name and note("consumer_name", type=reference["consumer_type"], named=name), reference["consumer_state"]]
    parts.append(version and note("version", version=version))
    other_id = note("other_id", id=then) if then and now and then != now else None
    return joint([note("parts", parts=[*filter(None, parts)]), *more, other_id]) or {}


def event_field(event: Row, **more: Any) -> Row:
    what = [event[name] for name in ("event_name", "resource_name", "related_name", "tag_keys")]
    parts = [
        " ".join(filter(None, what)),
        note("event.actor", actor=event["actor_arn"]) if event["actor_arn"] else note("event.no_actor"),
        event["user_agent"] and note("event.with", agent=event["user_agent"]),
        event["error_code"] and note("event.refused", code=event["error_code"]),
    ]
    return field(_time(event["event_at"]) or "", note=note("parts", parts=[*filter(None, parts)]), **more)


def _time(value: datetime | None) -> str | None:
    return f"{value:%Y-%m-%d %H:%M:%S} UTC" if value else None


class RowsByKey:
    def __init__(self, result: Result, explained: list[Row]) -> None:
        near, coverage = result.inventory, result.coverage
        self.explained = {(row["profile_arn"], row["role_arn"]) for row in explained}
        self.trails = set(near.calls["account_id"][near.calls["operation"].isin([TRAIL, LOOKUP])])
        self.not_run = [name for name in CHECKS if name not in result.checks]
        self.about = {
            name: one.about
            for name, one in result.checks.items()
            if one.about != "account" and (required_tags not in one.needs or result.policy.demands_tags)
        }
        unsure = coverage[(coverage["status"] != "complete") & coverage["check"].isin(list(self.about))]
        self.accounts, self.lists, self.gaps, self.events, self.unsure = (
            records_by("account_id", frame) for frame in (near.accounts, result.lists, near.gaps, near.events, unsure)
        )
        self.rows = {side: records_by(f"{side}_arn", getattr(near, f"{side}s")) for side in TYPE_OF}
        self.tags, self.held = records_by("resource_arn", near.tags), records_by("role_arn", near.links)
        paths = without_path(near.references["named"])
        self.references = records_by("profile_arn", near.references.assign(path=paths.to_pandas().array))
        self.not_deleted, self.not_tagged = why_not_planned(result, near.profiles["profile_arn"])
        numbered = result.findings.reset_index(names="at")
        self.findings = [records_by(f"{what}_arn", numbered) for what in ("resource", "related")]


class Pair:
    """A profile together with its role, or only a profile, or only a role."""

    def __init__(self, known: RowsByKey, row: Row) -> None:
        account = row["account_id"]
        self.known, self.row, self.lists = known, row, known.lists[account][0]
        self.account, self.gaps, self.events = known.accounts[account][0], known.gaps[account], known.events[account]
        self.arns = {side: arn for side in TYPE_OF if (arn := row[f"{side}_arn"])}
        self.rows = {side: next(iter(known.rows[side][arn]), None) for side, arn in self.arns.items()}
        self.profile, self.role = self.rows.get("profile"), self.rows.get("role")
        self.names = {s: (self.rows[s] or {}).get(f"{s}_name") or bare_name(arn) for s, arn in self.arns.items()}
        own = {s: {tag["tag_key"]: tag["tag_value"] for tag in known.tags[arn]} for s, arn in self.arns.items()}
        self.tags = {side: own[side] if one and one["tags_known"] else None for side, one in self.rows.items()}
        self.policies = [(self.role or {}).get(name) for name in ("attached_policies", "inline_policy_count")]
        self.references = known.references[self.arns["profile"]] if self.profile else []
        path = without_path([self.arns.get("profile")])[0].as_py()
        self.elsewhere = [one for one in known.references[None] if self.profile and one["path"] == path]
        # A role that is known only by name is a different one in each account.
        held = known.held[self.arns["role"]] if "role" in self.arns else []
        self.held = [link["profile_arn"] for link in held if link["account_id"] == account]
        links = [gap for gap in self.gaps if gap["operation"] in (PROFILE, ROLE_LINKS)]
        unread = {gap["subject"] for gap in links if gap["operation"] == ROLE_LINKS}
        contradicting = [gap for gap in links if gap["reason"] == "contradicted"]
        self.contradiction = joint(gap_note(gap) for gap in contradicting if gap["subject"] in self.arns.values())
        all_read = self.lists["profiles_whole"] or not unread & {ALL, self.arns.get("role")}
        self.profiles_read = all_read and not self.contradiction
        found = {one["at"]: one for arn in self.arns.values() for by in known.findings for one in by[arn]}
        # A finding on another link of this role or profile is shown with that link.
        others = known.explained - {(self.arns.get("profile"), self.arns.get("role"))}
        in_order = [found[at] for at in sorted(found)]
        self.findings = [one for one in in_order if (one["resource_arn"], one["related_arn"]) not in others]
        self.unsure = [one for one in known.unsure[account] if self._concerns(known.about[one["check"]])]

    def _concerns(self, about: str) -> bool:
        if "profile" in self.arns:
            return "role" in self.arns or about != "role"
        return about != "profile" and (about != "link" or not self.profiles_read)


def _identity(pair: Pair) -> Iterator[Row]:
    yield field("account", note=" ".join(filter(None, (pair.account[f"account_{what}"] for what in ("id", "name")))))
    parts = {side: _identity_fields(pair, side) for side in pair.arns}
    for name in dict.fromkeys(name for part in parts.values() for name in part):
        cells = {side: part.get(name) for side, part in parts.items()}
        with_value = [side for side, value in cells.items() if value]
        is_extra = name.startswith("segment") and len(cells) > len(with_value)
        extra = note("only_side", side=with_value[0]) if is_extra else None
        yield field(name, **cells, note=note("role_not_shown") if NOT_COLLECTED in cells.values() else extra)
    if pair.row.get("maker"):
        yield field("created by", note=note("maker", maker=pair.row["maker"], basis=pair.row["maker_basis"]))
    after = {side: known for side, name in pair.names.items() if name and (known := namesake_of(name))}
    for known in list(after.values())[:1]:
        cells = {side: pair.names[side] for side in after}
        yield field("about the name", **cells, note=note("named_after", policy=known.policy, service=known.service))
    if role := pair.role:
        at, region = _time(role["last_used_at"]), role["last_used_region"]
        if role["last_used_known"]:
            used = note("last_used", known=bool(region), region=region) if at else note("not_used")
            yield field("last use", role=at or "none", note=used)
        else:
            yield field("last use", role=NOT_COLLECTED)
        yield from (field(name, role=str(role[c])) for name, c in _OF_ROLE.items() if role[c] is not None)
        if role["is_aws_managed"]:
            yield field("managed by AWS", role="yes", note=note("aws_managed"))


def _identity_fields(pair: Pair, side: str) -> dict[str, str | None]:
    row, arn = pair.rows[side], pair.arns[side]
    if row is None:
        return {"ARN": NOT_COLLECTED, "name": pair.names[side]}
    segments = filter(None, (row[f"{side}_path"] or "").split("/"))
    parts = {"ARN": arn, "partition": partition_of(arn)}
    parts |= {f"segment {number} of the path": segment for number, segment in enumerate(segments, 1)}
    parts |= {name: row[f"{side}_{name}"] for name in ("name", "path", "id")}
    return parts | {"created": _time(row["created_at"])}


def _link(pair: Pair) -> Iterator[Row]:
    if len(pair.arns) == 2:
        row, intent = pair.row, note("by_design") if pair.row["names_expected"] else None
        relation = note("names", relation=row["relation"], intent=intent) if row["relation"] else None
        yield field("names", row["profile_name"], row["role_name"], relation)
        if row["relation"] not in (None, "same", "case"):
            tools, by_arn = (
                [one.tool for one in tool_rules() if one.rule == rule] for rule in ("same_names", "role_arn")
            )
            yield field("tools that need equal names", note=note("same_names", tools=tools, by_arn=by_arn))
        if others := sorted(bare_name(arn) for arn in pair.held if arn != row["profile_arn"]):
            yield field("the role is also in", ", ".join(others))
    elif pair.profile:
        why = pair.contradiction or note("role_not_read")
        yield field("role", note=note("no_role") if pair.profile["role_known"] else why)
    else:
        why = pair.contradiction or note("profiles_not_read")
        yield field("instance profile", note=note("in_no_profile") if pair.profiles_read else why)


def _tags(pair: Pair) -> Iterator[Row]:
    unread = [side for side, tags in pair.tags.items() if tags is None]
    if unread:
        counts = {side: say("explain.tags", count=len(tags or ())) for side, tags in pair.tags.items()}
        cells = counts | dict.fromkeys(unread, NOT_COLLECTED)
        why = joint(gap_note(gap) for side in unread for gap in _why_no_tags(pair, side))
        yield field("tags", **cells, note=why or (note("no_listing") if "profile" in unread else None))
    elif not any(pair.tags.values()):
        yield field(ALL_TAGS, **dict.fromkeys(pair.tags, "none"))
    sides = {side: tags or {} for side, tags in pair.tags.items()}
    for key in sorted({key for tags in sides.values() for key in tags}):
        difference = _difference(key, sides) if len(sides) == 2 and not unread else None
        yield field(key, **{side: tags.get(key) for side, tags in sides.items()}, note=difference)


def _difference(key: str, sides: dict[str, dict[str, str]]) -> Message | None:
    if key.startswith("aws:"):
        return note("tag", kind="reserved")
    missing = [side for side, tags in sides.items() if key not in tags]
    if not missing:
        return note("tag", kind="value") if sides["profile"][key] != sides["role"][key] else None
    cased = next((name for name in sides[missing[0]] if name.casefold() == key.casefold()), None)
    return note("tag", kind=f"{'key_case' if cased else 'missing'}_on_{missing[0]}", key=cased)


def _why_no_tags(pair: Pair, side: str) -> list[Row]:
    telling = (*proving("role_tags" if side == "role" else "profile_tags"), "tags")
    gaps = [gap for gap in pair.gaps if gap["operation"] in telling]
    own = [gap for gap in gaps if gap["subject"] in (pair.arns[side], pair.names[side])]
    return own or [gap for gap in gaps if gap["subject"] == ALL and gap["reason"] in ("denied", "throttled", "expired")]


def _trust(pair: Pair) -> Iterator[Row]:
    if "role" not in pair.arns:
        return
    yield field("can EC2 assume the role", role=pair.role["trusts_ec2"] if pair.role else "unknown")
    policy = pair.role and pair.role["trust_policy"]
    if policy is None:
        yield field("policy", role=NOT_COLLECTED)
    for one in statements_of(policy) if policy else ():
        facts = {"effect": one.effect, "actions": one.actions, "condition": one.condition or None}
        yield field(f"{one.kind} principal", role=one.principal, note=note("statement", **facts))


def _permissions(pair: Pair) -> Iterator[Row]:
    if "role" not in pair.arns:
        return
    attached, inline = pair.policies
    if attached is None:
        denied = [gap for gap in pair.gaps if gap["operation"] == DUMP and gap["subject"] == ALL]
        yield field("policies", role=NOT_COLLECTED, note=joint(map(gap_note, denied)))
    for arn in (attached or "").split():
        power = power_of(arn)
        yield field("attached policy", role=arn, note=power and note("power", power=power))
    if attached == "":
        yield field("attached policies", role="none")
    if inline is not None:
        yield field("inline policies", role=str(inline) if inline else "none")


def _used_by(pair: Pair) -> Iterator[Row]:
    if not pair.profile:
        return
    yield from (field(consumer(row), note=used_note(row, pair.profile)) for row in pair.references)
    yield from (field(consumer(row), note=note("other_path", named=row["named"])) for row in pair.elsewhere)
    regions = pair.lists["references_regions"].replace(" ", ", ") or None
    looked = status_note(pair.lists, "looked_for", "references_", regions=regions)
    if "regions" in looked["reason"]:
        # The reason names the regions.
        looked |= {"message": "explain.looked_in"}
    yield field("reference search", note=joint([None if pair.references else note("nothing_names_it"), looked]))


def _findings(pair: Pair) -> Iterator[Row]:
    for row in pair.findings:
        accepted = row["accepted"] and note("accepted", reason=row["accepted"])
        state = [*filter(None, (row["severity"], row["expected"] and note("expected"), accepted))]
        # The finding may be about a resource outside this link.
        named = {"kind": row["resource_type"].replace("-", " "), "resource": row["resource_name"]}
        yield field(row["check"], note=note("finding", **named, state=state, detail=row["detail"]))
    if not pair.findings:
        is_unknown = pair.unsure or pair.known.not_run
        yield field("unknown", note=note("of_what_was_checked")) if is_unknown else field("none")


def _incomplete_checks(pair: Pair) -> Iterator[Row]:
    if pair.known.not_run:
        yield field("not run", note=note("parts", parts=pair.known.not_run))
    for row in pair.unsure:
        yield field(row["check"], note=status_note(row))


def _deleting(pair: Pair) -> Iterator[Row]:
    if pair.profile:
        way = "refused" if "role" in pair.arns else "profile" if pair.profile["role_known"] else "profile_not_read"
        yield field("deleting the profile", note=note(f"delete.{way}", answer=CONFLICT))
    if pair.role:
        way = "refused" if pair.held else "role" if pair.profiles_read else "role_not_read"
        way = "managed" if pair.role["is_aws_managed"] else way
        attached, inline = pair.policies
        has = "some" if attached or inline else "unknown" if attached is None or inline is None else "none"
        yield field("deleting the role", note=note(f"delete.{way}", answer=CONFLICT, policies=has))
    if pair.profile and "role" in pair.arns and not (pair.role and pair.role["is_aws_managed"]):
        # With a role, the console deletes the profile of the same name (IAM User Guide, "Delete roles").
        same = pair.names["role"].lower() == pair.names["profile"].lower()
        yield field("in the IAM console", note=note("delete.console", both=same, profile=pair.names["profile"]))


def _next(pair: Pair) -> Iterator[Row]:
    commands = [*_commands(pair)]
    kept = _most_severe_use(pair.references) or pair.known.not_deleted.get(pair.arns.get("profile", ""))
    if kept and kept["message"] == "plan.use_unknown":
        kept = note("use_unknown")
    refused = {command: kept if command.startswith(_TAKES_AWAY) else why for _, command, why in commands}
    commands.sort(key=lambda one: one[1].startswith(_TAKES_AWAY))
    yield from (field(name, note=command) for name, command, _ in commands if not refused[command])
    for command, why in {command: refused[command] for _, command, _ in commands if refused[command]}.items():
        (label,) = (label for verb, label in _REFUSED.items() if command.startswith(f"aws iam {verb}-"))
        yield field(label, note=note("not_offered", use=why))


def _commands(pair: Pair) -> Iterator[tuple[str, str, Message | None]]:
    options = {side: {f"{TYPE_OF[side]}-name": name} for side, name in pair.names.items()}
    for side in (side for side, tags in pair.tags.items() if tags is None):
        yield f"see the {side}'s tags", _command(f"iam list-{TYPE_OF[side]}-tags", options[side]), None
    for row in (row for row in pair.findings if row["next_step"]):
        is_copy = row["next_step"].startswith("aws iam tag-instance-profile")
        why = pair.known.not_tagged.get((row["resource_arn"], row["check"])) if is_copy else None
        yield row["check"], row["next_step"], why
    for side in (side for side, row in pair.rows.items() if row):
        yield f"see the {side}", _command(f"iam get-{TYPE_OF[side]}", options[side]), None
    if pair.profile and "role" in pair.arns:
        names = options["profile"] | options["role"]
        yield "take the role out of the profile", _command("iam remove-role-from-instance-profile", names), None
    if pair.profile:
        yield "delete the profile", _command("iam delete-instance-profile", options["profile"]), None


def _most_severe_use(references: list[Row]) -> Message | None:
    using = [row for row in references if row["consumer_state"] not in ("terminated", "shutting-down")]
    instances = {row["consumer_id"]: row["consumer_state"] or "" for row in using if row["consumer_type"] == "instance"}
    associated = [row["consumer_name"] for row in using if row["consumer_type"] == "association"]
    running = [one for one, state in instances.items() if not state.startswith("stop")]
    running = running or [one for one in associated if one and one not in instances]
    for way, names in (("runs", running), ("has", [*instances]), ("names", list(map(consumer, using)))):
        if names:
            return note(f"use.{way}", count=len(names), names=names)
    return None


def _command(verb: str, options: dict[str, str]) -> str:
    return aws_command(verb, options).strip("`")


def _history(pair: Pair) -> Iterator[Row]:
    names = {TYPE_OF[side]: name.lower() for side, name in pair.names.items()}
    for event in pair.events:
        own, related = ((event[f"{what}_name"] or "").lower() for what in ("resource", "related"))
        if own == names.get(event["resource_type"]) or (related and related == names.get(ROLE_TYPE)):
            yield event_field(event)
    if pair.row["account_id"] in pair.known.trails:
        since, until = (_time(pair.account[f"events_{what}_at"]) for what in ("from", "to"))
        yield field("collected", note=note("trail", known=bool(since and until), since=since, until=until))


def _surfaces(pair: Pair) -> Iterator[Row]:
    facts = {(fact.surface, fact.operation, fact.resource_type): fact for fact in known_facts()}
    for surface, operation in dict.fromkeys(key[:2] for key in facts if key[1] != "find"):
        by_side = {side: facts[surface, operation, TYPE_OF[side]] for side in pair.arns}
        conditions = dict.fromkeys(fact.condition for fact in by_side.values() if fact.condition)
        answers = {side: fact.answer for side, fact in by_side.items()}
        verb = "change" if operation == "write" else operation
        yield field(f"{surface}: {verb} tags", **answers, note=" and ".join(conditions) or None)


# In the order of importance to the reader: identity, problems, suggested commands, and then the rest.
SECTIONS = {
    "identity": _identity,
    "link": _link,
    "tags": _tags,
    "trust": _trust,
    "permissions": _permissions,
    "used by": _used_by,
    "findings": _findings,
    "incomplete checks": _incomplete_checks,
    "deleting": _deleting,
    "next": _next,
    "history": _history,
    "consoles and tools for tags": _surfaces,
}
