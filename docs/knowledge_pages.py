"""The reference pages of what iamframe knows of AWS and of tools: makers, what uses profiles, where tags show."""

from __future__ import annotations

from collections.abc import Iterable

from page_parts import code, escape, page, table

from iamframe.knowledge.makers import Maker, known_makers, known_tags
from iamframe.knowledge.surfaces import known_facts
from iamframe.sources.consumers import CONSUMERS

# Without the list of headings, the tables have room.
_WIDE = "---\nhtml_theme.sidebar_secondary.remove: true\n---"
_DATES = "If a source was last read more than a year ago, the entry says why the source was not read again."


def _sources(facts: Iterable[tuple[str, str, object, str]]) -> str:
    """Return a list of sources: what they are of, the source, when it was last read, and why not since."""
    lines = [
        f"- **{escape(of)}**: {escape(source)} (last read {date}{why_not and f': {escape(why_not)}'})"
        for of, source, date, why_not in facts
    ]
    return "\n".join(dict.fromkeys(lines))


def _place(path: str, name: str) -> str:
    """Return path and name of a resource, with the tokens of the policy file."""
    return f"any under {code(path)}" if name == "*" != path else code(name if path == "*" else path + name)


def _maker_rows(makers: list[Maker]) -> list[list[str]]:
    return [
        [
            escape(one.name),
            _place(one.role_path, one.role),
            _place(one.profile_path, one.profile) if one.profile else "",
            "no: users choose such names, too" if one.is_guess else "yes",
        ]
        for one in makers
    ]


def makers() -> str:
    """Return the page of the services and tools that create roles and profiles."""
    head = ["created by", "role", "profile", "the pair is proof"]
    known = known_makers()
    pairs = [one for one in known if one.profile and not one.is_example]
    alone = _maker_rows([one for one in known if not one.profile])
    tags = [[code(one.key), escape(one.maker), "yes" if one.is_proof else "no"] for one in known_tags()]
    sources = [(one.name, one.source, one.date, one.not_rechecked) for one in known]
    sources += [(one.key, one.source, one.date, "") for one in known_tags()]
    return page(
        _WIDE,
        "# Makers",
        f"iamframe knows the names, paths and tags that {len({one.name for one in pairs})} services and tools give to "
        "roles and profiles. [Expected differences](../concepts.md#expected-differences) says how iamframe uses these "
        "names, paths and tags. A [policy file](policy-file.md) can add your own services and tools. `*` is any text. "
        "A word in braces is a text that role and profile share, such as the name of a cluster, or a random text.",
        "## Roles with a profile",
        table(head, _maker_rows(pairs)),
        "## Roles without a profile",
        "These roles are used without an instance profile.",
        table(head[:2], [row[:2] for row in alone]),
        "## Examples in documentation",
        table(head, _maker_rows([one for one in known if one.is_example])),
        "## Tags",
        "A tag is proof if only one tool writes the tag, to profiles that the tool creates.",
        table(["tag key", "written by", "is proof"], tags),
        "## Sources",
        _DATES,
        _sources(sources),
    )


def surfaces() -> str:
    """Return the page of the consoles, APIs and tools that show tags."""
    facts = known_facts()
    rows = [
        [
            escape(one.surface),
            one.resource_type,
            one.operation,
            one.answer,
            escape("; ".join(filter(None, (one.condition, one.detail)))),
        ]
        for one in facts
    ]
    return page(
        _WIDE,
        "# Where tags show",
        f"{len({one.surface for one in facts})} consoles, APIs and tools, and what they can do with the tags "
        "of roles and instance profiles. `iamframe.surfaces()` returns this table, with the source of each answer. "
        "[Where tags are visible](../guides/surfaces.md) shows how to use the table.",
        table(["tool", "resource type", "operation", "answer", "condition or detail"], rows),
        "## Sources",
        _DATES,
        _sources((one.surface, one.source, one.checked_on, one.not_rechecked) for one in facts),
    )


def consumers() -> str:
    """Return the page of the resources that use profiles."""
    rows = [
        [code(one.consumer_type), code(f"{one.service} {one.operation}"), escape(one.source), str(one.date)]
        for one in CONSUMERS
    ]
    return page(
        "# What uses profiles",
        f"iamframe looks for {len({one.consumer_type for one in CONSUMERS})} kinds of resources that use instance "
        "profiles. [`references`](frames/references.md) lists the resources.",
        table(["consumer type", "AWS operation", "source", "last read"], rows),
    )
