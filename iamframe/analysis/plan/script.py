"""A clean-up as a POSIX shell script of AWS CLI commands that a reviewer can read.

Every value is one shell word, and every comment is one line, whatever the data contains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from iamframe.analysis.plan.commands import STATE_QUERIES, Block
from iamframe.analysis.plan.reads import functions
from iamframe.analysis.plan.resources import AccountFacts
from iamframe.messages.render import Message, say
from iamframe.messages.text import escape_controls, pluralize
from iamframe.sources import scripts
from iamframe.version import __version__


def render_script(
    blocks: Sequence[Block], accounts: Mapping[str, AccountFacts], left_out: Mapping[str, Sequence[str]], made: str
) -> str:
    """Return the script: the steps of each account, and then `left_out` as comments under headings."""
    by_account: dict[str, list[tuple[int, Block]]] = {}
    for number, block in enumerate(blocks, 1):
        by_account.setdefault(block.profile.account_id, []).append((number, block))
    return scripts.render_template(
        "iamframe.analysis.plan",
        "cleanup.sh.j2",
        version=__version__,
        made=made,
        accounts=[(accounts[account], _to_do(mine), mine) for account, mine in by_account.items()],
        state_queries=STATE_QUERIES,
        # A script that only changes tags has no functions for deletions.
        last_look=functions() if any(block.deletes for block in blocks) else "",
        left_out=left_out,
        line=escape_controls,
        sentence=sentence,
    )


def sentence(messages: list[Message]) -> str:
    """Return messages in English, on one line."""
    return say("list.messages", messages=messages)


def _to_do(blocks: Sequence[tuple[int, Block]]) -> str:
    deleted = sum(block.deletes for _, block in blocks)
    counts = (("delete", deleted), ("tag", len(blocks) - deleted))
    return ", ".join(f"{verb} {pluralize(count, 'profile')}" for verb, count in counts if count)
