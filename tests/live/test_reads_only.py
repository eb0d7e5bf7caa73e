"""Nothing that iamframe offers changes an account: every public function, against one that counts writes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import write

import iamframe
from iamframe.knowledge.operations import READS
from iamframe.practice import PracticeAccount

ROLE = "OrganizationAccountAccessRole"


def test_every_public_function_only_reads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with PracticeAccount(regions=("us-east-1", "eu-west-1")) as account:
        for name, value in account.environment().items():
            monkeypatch.setenv(name, value)
        member = account.add_member("team")
        account.fill(roles=6, profiles=6)
        account.fill(roles=6, profiles=6, account_id=member)
        account.forget()
        inventory = iamframe.load("aws", references="all", tag_index=True, role_details=True, progress=False)
        result = iamframe.run_checks(inventory)
        functions: dict[str, Callable[[], Any]] = {
            "blind_spot_counts": lambda: iamframe.blind_spot_counts(inventory),
            "blind_spots": lambda: iamframe.blind_spots(inventory),
            "compare": lambda: iamframe.compare(inventory, result),
            "explain": lambda: iamframe.explain(inventory, inventory.roles["role_name"].iloc[0]),
            "events_of": lambda: iamframe.events_of(inventory, name="web"),
            "findings_by_owner": lambda: iamframe.findings_by_owner(result),
            "history": lambda: iamframe.history(write(tmp_path / "123456789012", {"lookup.json": {"Events": []}})),
            "explore": lambda: iamframe.explore(result),
            "load": lambda: iamframe.load("aws", progress=False),
            "load_account": lambda: iamframe.load_account(progress=False),
            "load_files": lambda: iamframe.load_files(Path(__file__).parents[2] / "data" / "sample"),
            "load_fleet": lambda: iamframe.load_fleet("org", role_name=ROLE, progress=False),
            "load_sample": iamframe.load_sample,
            "missing_permissions": lambda: iamframe.missing_permissions(inventory),
            "open_snapshot": lambda: iamframe.open_snapshot(inventory.save(tmp_path / "saved")),
            "pairs": lambda: iamframe.pairs(inventory),
            "probe_surfaces": lambda: iamframe.probe_surfaces(progress=False),
            "plan": lambda: iamframe.plan(result).write(tmp_path / "plan.sh"),
            "run_checks": lambda: iamframe.run_checks(inventory),
            "surfaces": iamframe.surfaces,
            "table": lambda: repr(iamframe.table(result.findings)),
            "tag_coverage": lambda: iamframe.tag_coverage(inventory),
            "take_snapshot": lambda: iamframe.take_snapshot(tmp_path / "taken", "aws", progress=False),
            "write_report": lambda: iamframe.write_report(result, tmp_path / "report"),
        }
        assert set(functions) == {n for n in iamframe.__all__ if inspect.isfunction(getattr(iamframe, n))}
        for function in functions.values():
            function()
        asked = {(request.service, request.action) for request in account.requests}
        assert account.writes() == 0
    assert len(asked) > 20
    # The tagging API signs its requests by another name than its permissions have.
    allowed = {tuple(read.action.replace("tag:", "tagging:").split(":")) for read in READS}
    assert asked <= allowed
