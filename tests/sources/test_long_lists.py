"""Long lists become records in runs: whatever the text and the size of a run, the same frames come out."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from terraform import state_of, tf_role

import iamframe
from iamframe.analysis.drift import read_states
from iamframe.errors import SourceError
from iamframe.sources import documents, shapes
from iamframe.sources.documents import NotARun, document_in_runs
from iamframe.sources.files import read_files

EC2 = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
FORMS = {
    "as the AWS CLI indents it": {"indent": 4},
    "indented by one": {"indent": 1},
    "on one line": {},
    "without a space": {"separators": (",", ":")},
}


def profile(name: str) -> dict[str, object]:
    return {"Path": "/", "InstanceProfileName": name, "Arn": f"arn:aws:iam::111122223333:instance-profile/{name}"}


def role(number: int) -> dict[str, object]:
    name = f"role-{number:03}"
    # A role in two profiles puts something that looks like the beginning of an item into an item.
    held = [profile(f"{name}-a"), profile(f"{name}-b")] if number % 3 == 0 else []
    return {
        "Path": "/",
        "RoleName": name,
        "Arn": f"arn:aws:iam::111122223333:role/{name}",
        "AssumeRolePolicyDocument": EC2,
        "InstanceProfileList": held,
        "Tags": [{"Key": "Text", "Value": ', {"Path": "/"}, ' * 3}],
    }


def dump(**more: object) -> dict[str, object]:
    return {"UserDetailList": [], "RoleDetailList": [role(number) for number in range(200)], "Policies": [], **more}


@pytest.fixture(params=[500, 2_000, 40_000])
def in_runs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read so many bytes at once: less than a role, two or three roles, or many. Every file counts as large."""
    monkeypatch.setattr(documents, "_RUN", request.param)
    monkeypatch.setattr(documents, "_ENDS", 6_000)
    monkeypatch.setattr(shapes, "LARGE", 0)
    monkeypatch.setattr(shapes, "_CHUNK", 7)


def load(folder: Path, text: str) -> iamframe.Inventory:
    file = folder / "dump.json"
    file.write_text(text, encoding="utf-8")
    return iamframe.load_files(file)


@pytest.mark.usefixtures("in_runs")
@pytest.mark.parametrize("form", FORMS)
def test_a_list_in_runs_is_the_list(form: str, tmp_path: Path) -> None:
    inventory = load(tmp_path, json.dumps(dump(), **FORMS[form]))  # type: ignore[arg-type]
    assert inventory.roles["role_name"].tolist() == [f"role-{number:03}" for number in range(200)]
    assert inventory.links["role_arn"].tolist() == [
        f"arn:aws:iam::111122223333:role/role-{number:03}" for number in range(0, 200, 3) for _ in "ab"
    ]
    assert set(inventory.roles["trusts_ec2"]) == {"yes"}
    assert inventory.tags["tag_value"].tolist() == [', {"Path": "/"}, ' * 3] * 200
    assert inventory.calls.loc[inventory.calls["operation"] == "GetAccountAuthorizationDetails", "state"].item() == (
        "complete"
    )


def test_the_frames_are_those_of_one_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = json.dumps(dump(), indent=4)
    whole = load(tmp_path, text)
    monkeypatch.setattr(shapes, "_CHUNK", 7)
    for size in (0, 1 << 40):
        monkeypatch.setattr(shapes, "LARGE", size)
        chunks = load(tmp_path, text)
        for name, frame in whole.frames.items():
            pd.testing.assert_frame_equal(chunks.frames[name], frame)


@pytest.mark.parametrize("in_runs", [True, False])
def test_memory_holds_few_records_of_a_long_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_runs: bool
) -> None:
    monkeypatch.setattr(documents, "_RUN", 2_000)
    monkeypatch.setattr(documents, "_ENDS", 6_000)
    monkeypatch.setattr(shapes, "LARGE", 0)
    monkeypatch.setattr(shapes, "_CHUNK", 3)
    file = tmp_path / "dump.json"
    file.write_text(json.dumps(dump(), indent=4), encoding="utf-8")
    sizes = [len(chunk) for answer in read_files([file], in_runs=in_runs) for chunk in answer]
    assert max(sizes) == 3
    assert sum(sizes) == 200


@pytest.mark.usefixtures("in_runs")
def test_a_long_list_is_read_in_runs_until_one_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / "dump.json"
    content = dump()
    file.write_text(json.dumps(content, indent=4), encoding="utf-8")
    assert sum(len(chunk) for answer in read_files([file], in_runs=True) for chunk in answer) == 200
    content["RoleDetailList"][120]["Tags"] = "none"  # type: ignore[index]
    file.write_text(json.dumps(content, indent=4), encoding="utf-8")
    with pytest.raises(NotARun):
        [len(chunk) for answer in read_files([file], in_runs=True) for chunk in answer]
    roles_and_gap = sum(len(chunk) for answer in read_files([file]) for chunk in answer)
    assert roles_and_gap == 199 + 1


@pytest.mark.usefixtures("in_runs")
def test_drift_reads_a_state_beside_a_long_list_with_a_broken_role(tmp_path: Path) -> None:
    content = dump()
    content["RoleDetailList"][120]["Tags"] = "none"  # type: ignore[index]
    (tmp_path / "dump.json").write_text(json.dumps(content, indent=4), encoding="utf-8")
    (tmp_path / "x.tfstate").write_text(json.dumps(state_of(tf_role("role-000"))), encoding="utf-8")
    states = read_states([tmp_path])
    assert states.managed["resource_name"].tolist() == ["role-000"]
    assert [file for file, _ in states.unread] == [f"{tmp_path / 'dump.json'} $.RoleDetailList[120]"]


@pytest.mark.usefixtures("in_runs")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("nested_first", [True, False])
def test_a_long_list_inside_another_object_is_not_the_documents_own(
    form: str, nested_first: bool, tmp_path: Path
) -> None:
    other, own = {"other": {"Roles": dump()["RoleDetailList"]}}, {"Roles": [role(900), role(901)]}
    text = json.dumps(other | own if nested_first else own | other, **FORMS[form])  # type: ignore[arg-type]
    assert names(load(tmp_path, text)) == ["role-900", "role-901"]


@pytest.mark.usefixtures("in_runs")
@pytest.mark.parametrize("form", FORMS)
def test_a_list_that_looks_like_the_long_one_is_not_part_of_it(form: str, tmp_path: Path) -> None:
    others = [{"Path": "/", "PolicyName": f"p-{number}", "Text": "x" * 200} for number in range(200)]
    inventory = load(tmp_path, json.dumps(dump(Policies=others), **FORMS[form]))  # type: ignore[arg-type]
    assert names(inventory) == ROLES
    assert inventory.calls["state"].tolist() == ["complete"]


@pytest.mark.usefixtures("in_runs")
def test_a_file_that_became_shorter_is_not_a_shorter_list(tmp_path: Path) -> None:
    file = tmp_path / "dump.json"
    file.write_text(json.dumps(dump(), indent=4), encoding="utf-8")
    found = document_in_runs(file)
    assert found is not None
    keys, runs = found
    assert list(keys) == ["UserDetailList", "RoleDetailList", "Policies"]
    file.write_bytes(file.read_bytes()[: runs.end - 10])
    with pytest.raises(NotARun):
        list(runs.lists(dict))


@pytest.mark.usefixtures("in_runs")
def test_that_there_is_more_is_read_after_the_list(tmp_path: Path) -> None:
    inventory = load(tmp_path, json.dumps(dump(IsTruncated=True), indent=4))
    assert inventory.calls["state"].tolist() == ["truncated"]


@pytest.mark.usefixtures("in_runs")
def test_a_role_that_cannot_be_read_is_one_gap_with_its_place(tmp_path: Path) -> None:
    content = dump()
    content["RoleDetailList"][120]["Tags"] = "none"  # type: ignore[index]
    inventory = load(tmp_path, json.dumps(content, indent=4))
    assert len(inventory.roles) == 199
    (detail,) = inventory.gaps.loc[inventory.gaps["reason"] == "unreadable", "detail"]
    assert "$.RoleDetailList[120].Tags: expected `array`, got `str`" in detail
    assert inventory.calls["state"].tolist() == ["partial"]


@pytest.mark.usefixtures("in_runs")
def test_a_file_that_is_not_json_in_the_middle_is_told_and_others_are_read(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text(json.dumps(dump(), indent=4).replace('"role-120"', '"role-120'), "utf-8")
    (tmp_path / "listing.json").write_text(json.dumps(listing(1)), "utf-8")
    inventory = iamframe.load_files(tmp_path)
    assert inventory.roles.empty
    assert inventory.profiles["profile_name"].tolist() == ["p-001"]
    (detail,) = inventory.gaps.loc[inventory.gaps["reason"] == "unreadable", "detail"]
    assert "broken.json: is not JSON" in detail


@pytest.mark.usefixtures("in_runs")
def test_half_a_file_is_refused(tmp_path: Path) -> None:
    text = json.dumps(dump(), indent=4)
    with pytest.raises(SourceError, match="is not JSON"):
        load(tmp_path, text[: len(text) // 2])


@pytest.mark.usefixtures("in_runs")
def test_a_list_that_comes_twice_is_refused(tmp_path: Path) -> None:
    text = json.dumps(dump(), indent=4)
    again = text.replace('"Policies": []', '"RoleDetailList": []')
    with pytest.raises(SourceError, match="'RoleDetailList' twice"):
        load(tmp_path, again)


@pytest.mark.usefixtures("in_runs")
def test_a_list_within_another_document_is_found_all_the_same(tmp_path: Path) -> None:
    inventory = load(tmp_path, json.dumps({"status_code": 200, "data": dump()}, indent=4))
    assert len(inventory.roles) == 200


# What follows the list


def user(number: int) -> dict[str, object]:
    return {"Path": "/", "UserName": f"user-{number}", "Arn": f"arn:aws:iam::111122223333:user/user-{number}"}


def names(inventory: iamframe.Inventory) -> list[str]:
    return inventory.roles["role_name"].tolist()


ROLES = [f"role-{number:03}" for number in range(200)]
USERS = [user(number) for number in range(200)]


@pytest.mark.usefixtures("in_runs")
@pytest.mark.parametrize("form", FORMS)
def test_users_after_the_roles_are_no_roles(form: str, tmp_path: Path) -> None:
    content = {"Policies": [], "RoleDetailList": [role(number) for number in range(200)], "UserDetailList": USERS}
    inventory = load(tmp_path, json.dumps(content, **FORMS[form]))  # type: ignore[arg-type]
    assert names(inventory) == ROLES
    assert inventory.calls["state"].tolist() == ["complete"]
    assert "unreadable" not in set(inventory.gaps["reason"])


@pytest.mark.usefixtures("in_runs")
def test_what_stands_after_the_users_counts_too(tmp_path: Path) -> None:
    content = {"RoleDetailList": [role(number) for number in range(200)], "UserDetailList": USERS, "IsTruncated": True}
    inventory = load(tmp_path, json.dumps(content, indent=1))
    assert names(inventory) == ROLES
    assert inventory.calls["state"].tolist() == ["truncated"]


def listing(*numbers: int) -> dict[str, object]:
    return {"InstanceProfiles": [profile(f"p-{number:03}") | {"Roles": []} for number in numbers]}


@pytest.mark.usefixtures("in_runs")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("order", ["dump first", "listing first"])
def test_documents_appended_to_one_file_are_both_read(form: str, order: str, tmp_path: Path) -> None:
    documents = [dump(), listing(*range(150))]
    if order == "listing first":
        documents.reverse()
    inventory = load(tmp_path, "\n".join(json.dumps(one, **FORMS[form]) for one in documents))  # type: ignore[arg-type]
    assert names(inventory) == ROLES
    empty = inventory.profiles[inventory.profiles["profile_name"].str.startswith("p-")]
    assert empty["profile_name"].tolist() == [f"p-{number:03}" for number in range(150)]
    assert empty["role_known"].all()
    assert dict(zip(inventory.calls["operation"], inventory.calls["state"], strict=True)) == {
        "GetAccountAuthorizationDetails": "complete",
        "ListInstanceProfiles": "partial",  # it lacks those that the dump shows beneath roles
    }


@pytest.mark.usefixtures("in_runs")
@pytest.mark.parametrize("form", FORMS)
def test_two_documents_of_one_kind_are_both_read(form: str, tmp_path: Path) -> None:
    one = {"Roles": [{k: v for k, v in role(number).items() if k != "Tags"} for number in range(100)]}
    two = {"Roles": [{k: v for k, v in role(number).items() if k != "Tags"} for number in range(100, 200)]}
    text = "".join(json.dumps(document, **FORMS[form]) for document in (one, two | {"IsTruncated": True}))  # type: ignore[arg-type]
    inventory = load(tmp_path, text)
    assert names(inventory) == ROLES
    assert inventory.calls["rows"].tolist() == [200]


@pytest.mark.usefixtures("in_runs")
def test_a_broken_document_leaves_the_one_before_it(tmp_path: Path) -> None:
    text = json.dumps(dump(), indent=4) + json.dumps(listing(*range(150)), indent=4)[:-40]
    inventory = load(tmp_path, text)
    assert names(inventory) == ROLES
    assert inventory.calls["state"].tolist() == ["complete"]
    (detail,) = inventory.gaps.loc[inventory.gaps["reason"] == "unreadable", "detail"]
    assert "is not JSON after its first document" in detail


def test_the_position_of_an_invalid_character_counts_from_the_start_of_the_file(tmp_path: Path) -> None:
    text = json.dumps(dump()) + "[1, x]"
    inventory = load(tmp_path, text)
    (detail,) = inventory.gaps.loc[inventory.gaps["reason"] == "unreadable", "detail"]
    assert f"after its first document (invalid character at byte position {text.index('x]')}, counted" in detail


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"[1, x]", "(invalid character at byte position 4, counted from 0)"),
        (b"\xef\xbb\xbf[1, x]", "(invalid character at byte position 7, counted from 0)"),
        # A position in the UTF-8 text is not a position in the file.
        ("[1, x]".encode("utf-16"), "(invalid character)"),
    ],
)
def test_a_byte_position_is_that_in_the_file_or_is_left_out(tmp_path: Path, data: bytes, says: str) -> None:
    (tmp_path / "notes.json").write_bytes(data)
    (tmp_path / "roles.json").write_text(json.dumps(dump()))
    inventory = iamframe.load_files(tmp_path)
    (detail,) = inventory.gaps.loc[inventory.gaps["reason"] == "unreadable", "detail"]
    assert says in detail
