"""Nothing that iamframe offers changes an account: every public function, against one that counts writes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from builders import write

import iamframe
from iamframe import Inventory, Result
from iamframe.knowledge.operations import OPERATIONS
from iamframe.practice import PracticeAccount

ROLE = "OrganizationAccountAccessRole"
SAMPLE = Path(__file__).parents[2] / "data" / "sample"
# The tagging API signs its requests by another name than its permissions have.
ALLOWED = {tuple(read.action.replace("tag:", "tagging:").split(":")) for read in OPERATIONS}
FUNCTIONS: dict[str, Callable[[Inventory, Result, Path], Any]] = {
    "blind_spot_counts": lambda inventory, _, __: iamframe.blind_spot_counts(inventory),
    "blind_spots": lambda inventory, _, __: iamframe.blind_spots(inventory),
    "athena_statements": lambda *_: iamframe.athena_statements("s3://BUCKET/FOLDER"),
    "check": lambda *_: iamframe.check(severity="low", detail="is there"),
    "check_snapshot": lambda inventory, _, folder: iamframe.check_snapshot(
        inventory.save(folder / "whole"), folder / "checked", executor=ThreadPoolExecutor(1)
    ),
    "compare": lambda inventory, result, _: iamframe.compare(inventory, result),
    "drift": lambda inventory, _, __: iamframe.drift(inventory, "sample:terraform"),
    "explain": lambda inventory, _, __: iamframe.explain(inventory, inventory.roles["role_name"].iloc[0]),
    "events_of": lambda _, __, folder: iamframe.events_of(
        write(folder / "123456789012", {"lookup.json": {"Events": []}}), name="web"
    ),
    "findings_by_owner": lambda _, result, __: iamframe.findings_by_owner(result),
    "history": lambda _, __, folder: iamframe.history(write(folder / "123456789012", {"lookup.json": {"Events": []}})),
    "explore": lambda _, result, __: iamframe.explore(result),
    "iter_snapshot": lambda inventory, _, folder: [*iamframe.iter_snapshot(inventory.save(folder / "one"))],
    "load": lambda *_: iamframe.load("aws", progress=False),
    "load_account": lambda *_: iamframe.load_account(progress=False),
    "load_files": lambda *_: iamframe.load_files(SAMPLE),
    "load_fleet": lambda *_: iamframe.load_fleet("org", role_name=ROLE, progress=False),
    "load_sample": lambda *_: iamframe.load_sample(),
    "missing_permissions": lambda inventory, _, __: iamframe.missing_permissions(inventory),
    "open_snapshot": lambda inventory, _, folder: iamframe.open_snapshot(inventory.save(folder / "saved")),
    "pairs": lambda inventory, _, __: iamframe.pairs(inventory),
    "probe_surfaces": lambda *_: iamframe.probe_surfaces(progress=False),
    "quota_use": lambda inventory, _, __: iamframe.quota_use(inventory),
    "plan": lambda _, result, folder: iamframe.plan(result).write(folder / "plan.sh"),
    "run_checks": lambda inventory, _, __: iamframe.run_checks(inventory),
    "surfaces": lambda *_: iamframe.surfaces(),
    "table": lambda _, result, __: repr(iamframe.table(result.findings)),
    "tag_coverage": lambda inventory, _, __: iamframe.tag_coverage(inventory),
    "take_snapshot": lambda _, __, folder: iamframe.take_snapshot(folder / "taken", "aws", progress=False),
    "write_report": lambda _, result, folder: iamframe.write_report(result, folder / "report"),
}
Loaded = tuple[PracticeAccount, Inventory, Result]


@pytest.fixture(scope="module")
def loaded() -> Iterator[Loaded]:
    """An account with a member, and all that iamframe reads of it."""
    with PracticeAccount(regions=("us-east-1",)) as account, pytest.MonkeyPatch.context() as patch:
        for name, value in account.environment().items():
            patch.setenv(name, value)
        member = account.add_member("team")
        account.fill(roles=6, profiles=6)
        account.fill(roles=6, profiles=6, account_id=member)
        account.forget()
        inventory = iamframe.load("aws", references="all", tag_index=True, role_details=True, progress=False)
        yield account, inventory, iamframe.run_checks(inventory)


def test_a_load_of_everything_only_reads(loaded: Loaded) -> None:
    account, _, _ = loaded
    asked = {(request.service, request.action) for request in account.requests}
    assert len(asked) > 20
    assert (account.writes(), asked - ALLOWED) == (0, set())


def test_these_are_all_public_functions() -> None:
    assert set(FUNCTIONS) == {
        name for name in iamframe.__all__ if inspect.isfunction(inspect.unwrap(getattr(iamframe, name)))
    }


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_public_function_only_reads(loaded: Loaded, tmp_path: Path, name: str) -> None:
    account, inventory, result = loaded
    FUNCTIONS[name](inventory, result, tmp_path)
    asked = {(request.service, request.action) for request in account.requests}
    assert (account.writes(), asked - ALLOWED) == (0, set())
