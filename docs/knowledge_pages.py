"""The reference pages of what iamframe knows of AWS and of tools: makers, what uses profiles, where tags show."""

from __future__ import annotations

from page_parts import code, escape, page, table

from iamframe.knowledge.makers import Maker, known_makers, known_tags
from iamframe.knowledge.surfaces import known_facts
from iamframe.sources.consumers import CONSUMERS


def _read_on(date: object, not_rechecked: str) -> str:
    """Return when the source of a fact was last read, and why not since, if that is more than a year ago."""
    return f"{date}: {escape(not_rechecked)}" if not_rechecked else str(date)


def _place(path: str, name: str) -> str:
    """Return path and name of a resource, with the tokens of the policy file."""
    return f"any under {code(path)}" if name == "*" != path else code(name if path == "*" else path + name)


def _maker_rows(makers: list[Maker]) -> list[list[str]]:
    return [
        [
            escape(one.name),
            _place(one.role_path, one.role),
            _place(one.profile_path, one.profile) if one.profile else "",
            "no, users choose such names too" if one.is_guess else "yes",
            escape(one.source),
            _read_on(one.date, one.not_rechecked),
        ]
        for one in makers
    ]


def makers() -> str:
    """Return the page of the services and tools that create roles and profiles."""
    head = ["created by", "role", "profile", "the pair is proof", "source", "last read"]
    known = known_makers()
    pairs = [one for one in known if one.profile and not one.is_example]
    alone = _maker_rows([one for one in known if not one.profile])
    tags = [[code(one.key), escape(one.maker), "yes" if one.is_proof else "no", escape(one.source), str(one.date)]
            for one in known_tags()]  # fmt: skip
    return page(
        "# Makers",
        f"iamframe knows the names, paths and tags that {len({one.name for one in pairs})} services and tools give to "
        "roles and profiles. [What expected means](../concepts.md) says how they are used, and the "
        "[policy file](policy-file.md) adds your own. `*` is any text. A word in braces is a text that both sides "
        "share, such as the name of a cluster, or a random text.",
        "*Last read* is the date on which the source was read. If that is more than a year ago, the reason follows.",
        "## Roles with a profile",
        table(head, _maker_rows(pairs)),
        "## Roles without a profile",
        "These roles are used without an instance profile.",
        table([*head[:2], *head[4:]], [[*row[:2], *row[4:]] for row in alone]),
        "## Examples in documentation",
        table(head, _maker_rows([one for one in known if one.is_example])),
        "## Tags",
        "A tag that is proof is written only by that tool, to profiles that it creates.",
        table(["tag key", "written by", "is proof", "source", "last read"], tags),
    )


def surfaces() -> str:
    """Return the page of the consoles, APIs and tools that show tags."""
    rows = [
        [
            escape(one.surface),
            one.resource_type,
            one.operation,
            one.answer,
            escape("; ".join(filter(None, (one.condition, one.detail)))),
            escape(one.source),
            _read_on(one.checked_on, one.not_rechecked),
        ]
        for one in known_facts()
    ]
    return page(
        "# Where tags show",
        f"{len({one.surface for one in known_facts()})} consoles, APIs and tools, and what they can do with the tags "
        "of roles and instance profiles. `iamframe.surfaces()` is this table. [Where tags are "
        "visible](../guides/surfaces.md) shows how to use it.",
        "*Last read* is the date on which the source was read. If that is more than a year ago, the reason follows.",
        table(["tool", "resource type", "operation", "answer", "condition or detail", "source", "last read"], rows),
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
        "profiles. They are rows of [`references`](frames/references.md).",
        table(["consumer type", "AWS operation", "source", "last read"], rows),
    )
