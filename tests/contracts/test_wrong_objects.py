"""What is given the wrong object says in one sentence what to pass."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import sample_result

import iamframe
from iamframe.errors import IamframeError, ReportError, WrongObjectError
from iamframe.report.write import write_changes
from iamframe.ui.options import path

EXPLORING = "iamframe.exploring takes Result, not Inventory"
PATH = "takes str or PathLike, not NoneType: pass the path of a file or folder"


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda _: iamframe.run_checks("sample"), "run_checks takes Inventory, not str"),
        (iamframe.run_checks, "run_checks takes Inventory, not Result"),
        (lambda found: iamframe.plan(found.inventory), "plan takes Result, not Inventory"),
        (lambda found: iamframe.write_report(found.inventory, "out"), "write_report takes Result, not Inventory"),
        (lambda found: iamframe.explain(found.findings, "web"), "explain takes Inventory or Result, not DataFrame"),
        (lambda found: iamframe.compare(found, "older/"), "compare takes Inventory or Result, not str"),
        (lambda found: iamframe.drift(found.findings), "drift takes Inventory or Result, not DataFrame"),
        (iamframe.pairs, "pairs takes Inventory, not Result"),
        (iamframe.tag_coverage, "tag_coverage takes Inventory, not Result"),
        (iamframe.missing_permissions, "missing_permissions takes Inventory, not Result"),
        (iamframe.blind_spots, "blind_spots takes Inventory, not Result"),
        (iamframe.blind_spot_counts, "blind_spot_counts takes Inventory, not Result"),
        (lambda found: iamframe.findings_by_owner(found.inventory), "findings_by_owner takes Result, not Inventory"),
        (iamframe.plots.plot_age, "plot_age takes Inventory, not Result"),
        (iamframe.plots.plot_last_use, "plot_last_use takes Inventory, not Result"),
        (iamframe.plots.plot_ladder, "plot_ladder takes Inventory, not Result"),
        (iamframe.plots.plot_tag_coverage, "plot_tag_coverage takes Inventory, not Result"),
        (
            lambda found: iamframe.plots.plot_profile_use(found.inventory),
            "plot_profile_use takes Result, not Inventory",
        ),
        (
            lambda found: iamframe.plots.plot_name_relations(found.inventory),
            "plot_name_relations takes Result, not Inventory",
        ),
        (lambda _: iamframe.explore(None), "explore takes Inventory or Result, not NoneType"),
        (
            lambda found: iamframe.plots.plot_quota_use(found.findings),
            "plot_quota_use takes Inventory or Result, not DataFrame",
        ),
        (lambda found: iamframe.exploring.paths(found.inventory, found.findings), EXPLORING),
        (lambda found: iamframe.exploring.tag_keys(found.inventory, found.findings), EXPLORING),
        (lambda found: iamframe.exploring.tag_values(found.inventory, found.findings, "Owner"), EXPLORING),
        (lambda found: iamframe.exploring.grouped(found.inventory, found.findings, "Owner"), EXPLORING),
        (lambda found: iamframe.exploring.card(found.inventory, 0), EXPLORING),
        (lambda found: iamframe.exploring.filtered(found.inventory, iamframe.exploring.Filter()), EXPLORING),
    ],
)
def test_the_wrong_object_is_refused_with_what_to_pass_instead(call: Callable[[Any], object], says: str) -> None:
    with pytest.raises(IamframeError) as refused:
        call(sample_result())
    assert str(refused.value).startswith(f"{says}: pass what `iamframe.")
    assert isinstance(refused.value, TypeError)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"out": None}, "out=…) takes str or PathLike, not NoneType: pass the path of a folder"),
        ({"out": 5}, "out=…) takes str or PathLike, not int: pass the path of a folder"),
        ({"title": b"x"}, "title=…) takes str or NoneType, not bytes: pass a text"),
        ({"author": ["Ada"]}, "author=…) takes str or NoneType, not list: pass a text"),
        ({"changes": "older/"}, "changes=…) takes Changes or NoneType, not str: pass what `iamframe.compare` gives"),
        ({"drift": []}, "drift=…) takes Drift or NoneType, not list: pass what `iamframe.drift` gives"),
        ({"lang": None}, "lang=…) takes str, not NoneType: pass a language, such as `en`"),
        ({"owner_tag": ["Owner"]}, "owner_tag=…) takes str, not list: pass the key of a tag"),
        ({"xlsx": "report.xlsx"}, "xlsx=…) takes bool, not str: pass True or False"),
        ({"mask": 1}, "mask=…) takes bool or str or PathLike or NoneType, not int: pass True, False or the path"),
    ],
)
def test_an_argument_of_a_report_with_a_wrong_type_is_refused_with_what_to_pass_instead(
    given: dict[str, Any], says: str, tmp_path: Path
) -> None:
    for write in (iamframe.Result.write, iamframe.write_report):
        with pytest.raises(WrongObjectError) as refused:
            write(sample_result(), **{"out": tmp_path / "out", **given})
        assert str(refused.value).startswith(f"write_report(…, {says}")
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda _: iamframe.load(None), f"load {PATH}"),
        (lambda _: iamframe.load("sample", None), f"load {PATH}"),
        (lambda _: iamframe.load_files("sample", None), f"load_files {PATH}"),
        (lambda _: iamframe.open_snapshot(None), f"open_snapshot {PATH}"),
        (lambda _: next(iamframe.iter_snapshot(None)), f"iter_snapshot {PATH}"),
        (lambda _: iamframe.check_snapshot(None, "out"), f"check_snapshot {PATH}"),
        (lambda _: iamframe.check_snapshot("snapshot", None), f"check_snapshot {PATH}"),
        (lambda _: iamframe.take_snapshot(None, "sample"), f"take_snapshot {PATH}"),
        (lambda found: found.inventory.save(None), f"Inventory.save {PATH}"),
        (lambda found: found.plan().write(None), f"Plan.write {PATH}"),
        (lambda found: iamframe.exploring.export(found, iamframe.exploring.Filter(), None), f"export {PATH}"),
        (
            lambda found: iamframe.exploring.filtered(found, "empty_profiles"),
            "iamframe.exploring takes Filter, not str: pass an `iamframe.exploring.Filter`",
        ),
        (
            lambda _: iamframe.open_snapshot("snapshot", accounts=5),
            "accounts=… takes str or Iterable or NoneType, not int: pass account ids",
        ),
        (
            lambda _: iamframe.load_fleet(5),
            "load_fleet takes str or PathLike or Iterable, not int: pass account ids, a CSV file, or `org`",
        ),
        (
            lambda _: iamframe.athena_statements(None),
            "athena_statements takes str, not NoneType: pass the snapshot's folder, s3://BUCKET/FOLDER",
        ),
        (lambda _: iamframe.plots.plot_surfaces(5), "ax=… takes Axes, not int: pass axes of Matplotlib"),
        (
            lambda found: iamframe.run_checks(found.inventory, only=5),
            "only=… takes str or Iterable or NoneType, not int: pass the names of checks",
        ),
        (
            lambda found: iamframe.run_checks(found.inventory, policy=5),
            (
                "policy=… takes str or PathLike or Policy or Iterable or NoneType, not int: pass a policy file, `org`, "
                "a Policy, or a list of these"
            ),
        ),
        (
            lambda found: iamframe.run_checks(found.inventory, checks=5),
            "checks=… takes str or PathLike or Iterable or NoneType, not int: pass checks, or Python files with checks",
        ),
        (
            lambda found: iamframe.run_checks(found.inventory, owner_tag=5),
            "owner_tag=… takes str, not int: pass the key of a tag",
        ),
        (
            lambda _: iamframe.check_snapshot("snapshot", "out", owner_tag=5),
            "owner_tag=… takes str, not int: pass the key of a tag",
        ),
        (
            lambda _: iamframe.probe_surfaces(5),
            "probe_surfaces takes a boto3 session, not int: pass boto3.Session()",
        ),
    ],
)
def test_a_value_of_a_wrong_type_is_refused_in_one_sentence(call: Callable[[Any], object], says: str) -> None:
    with pytest.raises(WrongObjectError) as refused:
        call(sample_result())
    assert str(refused.value) == says


@pytest.mark.parametrize("address", ["s3://bucket/x", "gs://bucket/x"])
@pytest.mark.parametrize(
    "write",
    [
        iamframe.write_report,
        lambda found, address: iamframe.write_report(found, "out", mask=address),
        lambda found, address: iamframe.exploring.export(found, iamframe.exploring.Filter(), address),
        lambda found, address: found.plan().write(address),
        lambda found, address: write_changes(iamframe.compare(found, found), address),
        lambda _, address: path(address),
    ],
    ids=["write_report", "mask", "export", "plan", "write_changes", "options"],
)
def test_files_are_written_to_no_address_and_to_no_folder_named_like_one(
    write: Callable[[Any, str], object], address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ReportError) as refused:
        write(sample_result(), address)
    assert str(refused.value) == (
        f"{address}: is not on this machine; give a path on this machine, and copy the files afterwards"
    )
    assert [*tmp_path.iterdir()] == []


def test_a_report_into_no_folder_is_refused() -> None:
    with pytest.raises(ReportError, match=r"^out is empty; give a folder for the report$"):
        iamframe.write_report(sample_result(), "")


def test_what_is_no_session_is_refused_with_what_to_pass_instead() -> None:
    with pytest.raises(WrongObjectError) as refused:
        iamframe.load_account("aws:audit")  # type: ignore[arg-type]
    assert str(refused.value) == (
        'load_account takes a boto3 session, not str: pass boto3.Session(), or call iamframe.load("aws:CLI_PROFILE")'
    )
