"""Small worlds that every source shape tells of alike, and the ways in which files get broken."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any
from urllib.parse import quote

from builders import EC2, dump, identity, nested_role, profile, profile_list, role_detail, tag_list, trust, zipped
from hypothesis import strategies as st

ONE, TWO = "000000000001", "000000000002"
REGION = "eu-west-1"
OWNER = {"Owner": "ops"}
RESERVED = {"aws:cloudformation:stack-name": "front"}
BOTH = trust(EC2, "ssm.amazonaws.com")
DELETED = trust(EC2) | {
    "Statement": [*trust(EC2)["Statement"], {"Effect": "Allow", "Principal": {"AWS": "AROAGONE"}, "Action": "sts:*"}]
}

Files = dict[str, Any]
Path = tuple[str | int, ...]

# The account that most files tell of: who is tagged, who holds whom. The service-linked role is AWS's own.
ROLE_TAGS: dict[str, dict[str, str]] = {
    "web": OWNER,
    "batch": {},
    "lone": {},
    "lambda": {"owner": "dev"},
    "AWSServiceRoleForECS": {},
}
PROFILE_TAGS: dict[str, dict[str, str]] = {"web": OWNER | {"Team": "a"}, "jobs": {}, "lambda": RESERVED, "empty": {}}
HOLDS: dict[str, str | None] = {"web": "web", "jobs": "batch", "lambda": "lambda", "empty": None}
PATHS = {"AWSServiceRoleForECS": "/aws-service-role/ecs.amazonaws.com/", "lambda": "/service-role/"}
POLICIES = {"lambda": trust("lambda.amazonaws.com"), "batch": DELETED, "web": BOTH}
PROFILE_PATHS = {"web": "/app/"}


def role_of(name: str) -> dict[str, Any]:
    """Return a role of account one as it stands in a profile."""
    return nested_role(name, PATHS.get(name, "/"), ONE, POLICIES.get(name))


def id_of(name: str) -> str:
    """Return a profile's unique id, of the form that AWS gives it."""
    return f"AIPA{name.upper():2>17}"


def profile_of(name: str, bare: bool = False) -> dict[str, Any]:
    """Return a profile of account one; a bare one as it stands beneath its role."""
    held = HOLDS[name]
    whole = profile(
        name, role_of(held) if held else None, PROFILE_PATHS.get(name, "/"), ONE, InstanceProfileId=id_of(name)
    )
    return {key: value for key, value in whole.items() if key != "Roles"} if bare else whole


def arn_of(name: str) -> str:
    return str(profile_of(name)["Arn"])


def _held_by(role: str) -> list[str]:
    return [name for name, held in HOLDS.items() if held == role]


def _detail(name: str) -> dict[str, Any]:
    holders = [profile_of(held, bare=True) for held in _held_by(name)]
    return role_of(name) | {
        key: value
        for key, value in role_detail(name, holders, ROLE_TAGS[name]).items()
        if key in ("InstanceProfileList", "RolePolicyList", "Tags", "RoleLastUsed")
    }


def _got_role(name: str) -> dict[str, Any]:
    more = {"Description": f"for {name}", "MaxSessionDuration": 3600, "RoleLastUsed": {}}
    tags = {"Tags": tag_list(ROLE_TAGS[name])} if ROLE_TAGS[name] else {}
    return {"Role": role_of(name) | more | tags}


def _answers() -> Files:
    summary = {"Roles": 5, "RolesQuota": 1000, "InstanceProfiles": 4, "InstanceProfilesQuota": 5}
    listed = [role_of(name) | {"Description": f"for {name}", "MaxSessionDuration": 3600} for name in ROLE_TAGS]
    return {
        "dump.json": dump(*map(_detail, ROLE_TAGS)),
        "roles.json": {"Roles": listed},
        "profiles.json": profile_list(*map(profile_of, HOLDS)),
        "role-web.json": _got_role("web"),
        "role-batch.json": _got_role("batch"),
        "profile-web.json": {"InstanceProfile": profile_of("web") | {"Tags": tag_list(PROFILE_TAGS["web"])}},
        "profile-empty.json": {"InstanceProfile": profile_of("empty") | {"Tags": []}},
        **{f"instance-profile-tags/{name}.json": {"Tags": tag_list(tags)} for name, tags in PROFILE_TAGS.items()},
        **{f"role-tags/{name}.json": {"Tags": tag_list(ROLE_TAGS[name])} for name in ("web", "lone")},
        "summary.json": {"SummaryMap": summary},
        "identity.json": identity(ONE),
        "aliases.json": {"AccountAliases": ["shop"]},
        "denied.csv": "operation,subject,error_code\nlist-role-tags,lambda,AccessDenied\n",
    }


def _references() -> Files:
    instances = [
        {
            "InstanceId": "i-01",
            "State": {"Code": 16, "Name": "running"},
            "Placement": {"AvailabilityZone": f"{REGION}a"},
            "IamInstanceProfile": {"Arn": arn_of("web"), "Id": id_of("web")},
            "Tags": [{"Key": "Name", "Value": "front"}],
        },
        {
            "InstanceId": "i-02",
            "State": {"Code": 80, "Name": "stopped"},
            "Placement": {"AvailabilityZone": f"{REGION}b"},
            "IamInstanceProfile": {"Arn": arn_of("jobs"), "Id": id_of("before")},
        },
        {"InstanceId": "i-03", "State": {"Code": 16, "Name": "running"}},
    ]
    associations = [
        {
            "AssociationId": "iip-assoc-01",
            "InstanceId": "i-01",
            "State": "associated",
            "IamInstanceProfile": {"Arn": arn_of("web"), "Id": id_of("web")},
        }
    ]
    template = {"LaunchTemplateId": "lt-01", "LaunchTemplateName": "front"}
    versions = [
        template
        | {
            "VersionNumber": number,
            "DefaultVersion": number == 1,
            "LaunchTemplateData": {"IamInstanceProfile": {"Name": name}},
        }
        for number, name in ((1, "web"), (2, "gone"))
    ]
    scaling = f"arn:aws:autoscaling:{REGION}:{ONE}"
    configuration = {
        "LaunchConfigurationName": "old",
        "LaunchConfigurationARN": f"{scaling}:launchConfiguration:1:launchConfigurationName/old",
        "IamInstanceProfile": "jobs",
    }
    pins = [{"LaunchTemplateSpecification": template | {"Version": version}} for version in ("2", "1")]
    groups = [
        {
            "AutoScalingGroupName": "front",
            "AutoScalingGroupARN": f"{scaling}:autoScalingGroup:1:autoScalingGroupName/front",
            "LaunchTemplate": template | {"Version": "$Default"},
        },
        {
            "AutoScalingGroupName": "mixed",
            "MixedInstancesPolicy": {
                "LaunchTemplate": {"LaunchTemplateSpecification": template | {"Version": "$Latest"}, "Overrides": pins}
            },
        },
        {"AutoScalingGroupName": "old", "LaunchConfigurationName": "old"},
    ]
    latest = {"DefaultVersionNumber": 1, "LatestVersionNumber": 2}
    answers = {
        "instances": {"Reservations": [{"OwnerId": ONE, "Instances": instances}]},
        "associations": {"IamInstanceProfileAssociations": associations},
        "templates": {"LaunchTemplates": [template | latest]},
        "versions": {"LaunchTemplateVersions": versions},
        "configurations": {"LaunchConfigurations": [configuration]},
        "groups": {"AutoScalingGroups": groups},
    }
    return {f"{REGION}/{name}.json": answer for name, answer in answers.items()}


def _items(as_text: bool) -> list[dict[str, Any]]:
    items = []
    for name, tags in ROLE_TAGS.items():
        role = role_of(name)
        holders = [profile_of(held, bare=True) for held in _held_by(name)]
        keys = {"Arn": "arn", "InstanceProfileName": "instanceProfileName", "Path": "path"}
        configuration = {
            "path": role["Path"],
            "roleName": name,
            "roleId": role["RoleId"],
            "arn": role["Arn"],
            "createDate": "2024-05-01T09:00:00.000Z",
            "assumeRolePolicyDocument": quote(json.dumps(role["AssumeRolePolicyDocument"])),
            "instanceProfileList": [{keys[key]: held[key] for key in keys} for held in holders],
            "tags": [{"key": key, "value": value} for key, value in tags.items()],
        }
        items.append(_item("AWS::IAM::Role", role["Arn"], configuration, as_text))
    for name in ("web", "empty"):
        listed = profile_of(name)
        configuration = {
            "Arn": listed["Arn"],
            "InstanceProfileName": name,
            "Path": listed["Path"],
            "InstanceProfileId": listed["InstanceProfileId"],
            "Roles": [HOLDS[name]] if HOLDS[name] else [],
        }
        items.append(_item("AWS::IAM::InstanceProfile", listed["Arn"], configuration, as_text))
    return items


def _item(kind: str, arn: str, configuration: dict[str, Any], as_text: bool) -> dict[str, Any]:
    return {
        "configurationItemStatus": "OK",
        "configurationItemCaptureTime": "2024-06-01T00:00:00.000Z",
        "resourceType": kind,
        "accountId": ONE,
        "arn": arn,
        "resourceId": arn.rsplit("/", 1)[-1],
        "tags": {},
        "configuration": json.dumps(configuration) if as_text else configuration,
    }


def _terraform_role(name: str) -> dict[str, Any]:
    role = role_of(name)
    return {
        "arn": role["Arn"],
        "name": name,
        "path": role["Path"],
        "unique_id": role["RoleId"],
        "assume_role_policy": json.dumps(role["AssumeRolePolicyDocument"]),
        "tags": ROLE_TAGS[name],
        "tags_all": ROLE_TAGS[name],
    }


def _terraform_profile(name: str) -> dict[str, Any]:
    listed = profile_of(name)
    own = {key: value for key, value in PROFILE_TAGS[name].items() if not key.startswith("aws:")}
    return {
        "arn": listed["Arn"],
        "name": name,
        "path": listed["Path"],
        "unique_id": listed["InstanceProfileId"],
        "role": HOLDS[name],
        "tags": own,
        "tags_all": own,
    }


# Terraform sets no reserved tags, so that the profile that has one is none of its own.
_MANAGED = (
    ("aws_iam_role", "web", _terraform_role),
    ("aws_iam_role", "batch", _terraform_role),
    ("aws_iam_instance_profile", "web", _terraform_profile),
    ("aws_iam_instance_profile", "jobs", _terraform_profile),
    ("aws_iam_instance_profile", "empty", _terraform_profile),
)


def _state() -> dict[str, Any]:
    resources = [
        {"mode": "managed", "type": kind, "name": name, "instances": [{"schema_version": 0, "attributes": make(name)}]}
        for kind, name, make in _MANAGED
    ]
    return {"version": 4, "terraform_version": "1.9.0", "serial": 1, "lineage": "l", "resources": resources}


def _plan() -> dict[str, Any]:
    resources = [
        {"address": f"{kind}.{name}", "mode": "managed", "type": kind, "name": name, "values": make(name)}
        for kind, name, make in _MANAGED
    ]
    new = {"address": "aws_iam_role.new", "mode": "managed", "type": "aws_iam_role", "name": "new"}
    resources.append(new | {"values": {"name": "new", "path": "/", "tags_all": {}}})
    changes = [{"address": "aws_iam_role.new", "change": {"after_unknown": {"arn": True, "assume_role_policy": True}}}]
    module = {"address": "module.a", "resources": resources[2:]}
    root = {"resources": resources[:2], "child_modules": [module]}
    return {"format_version": "1.2", "planned_values": {"root_module": root}, "resource_changes": changes}


def _role_rows() -> list[dict[str, Any]]:
    rows = []
    for name in ("web", "batch", "lone"):
        role = role_of(name)
        rows.append(
            {
                "arn": role["Arn"],
                "name": name,
                "path": role["Path"],
                "role_id": role["RoleId"],
                "assume_role_policy": role["AssumeRolePolicyDocument"],
                "instance_profile_arns": [arn_of(held) for held in _held_by(name)] or None,
                "tags": ROLE_TAGS[name] or None,
                "role_last_used_date": None,
            }
        )
    return rows


def _profile_rows() -> list[dict[str, Any]]:
    return [
        {
            "arn": arn_of(name),
            "instance_profile_name": name,
            "path": PROFILE_PATHS.get(name, "/"),
            "roles": profile_of(name)["Roles"],
            "tags": PROFILE_TAGS[name] or None,
        }
        for name in ("web", "jobs", "empty")
    ]


def _second_account() -> Files:
    app = nested_role("app", account=TWO)
    return {
        "roles.json": {"Roles": [app, nested_role("spare", account=TWO)]},
        "profiles.json": profile_list(profile("app", app, account=TWO), profile("old", account=TWO)),
    }


def _in(folder: str, files: Files) -> Files:
    return {f"{folder}/{name}": document for name, document in files.items()}


WORLDS: dict[str, Files] = {
    "answers": _in(ONE, _answers()) | _in(TWO, _second_account()),
    "references": _in(ONE, {"profiles.json": _answers()["profiles.json"]} | _references()),
    "config": {
        "items.json": {"configurationItems": _items(as_text=True)},
        "snapshot.json": {"fileVersion": "1.0", "configurationItems": _items(as_text=False)},
        "item.json": _items(as_text=True)[0],
    },
    "terraform": {"x.tfstate": _state(), "plan.json": _plan()},
    "steampipe": {"rows.json": _role_rows(), "profiles.json": {"rows": _profile_rows(), "columns": []}},
}
# All that the worlds say of one account, which they say alike; the role of the plan is of no account yet.
EVERYTHING: Files = (
    WORLDS["answers"]
    | WORLDS["references"]
    | {f"{ONE}/{name}": document for world in ("config", "terraform") for name, document in WORLDS[world].items()}
    | {f"{ONE}/steampipe-{name}": document for name, document in WORLDS["steampipe"].items()}
)


def bytes_of(document: Any) -> bytes:
    """Return a document as the bytes of a file; text and bytes are that already."""
    if isinstance(document, bytes):
        return document
    return (document if isinstance(document, str) else json.dumps(document)).encode(errors="surrogatepass")


# Breaking files

ODD_TEXTS = [
    "",
    " ",
    "\0",
    "\ud800",
    "../../x",
    "null",
    "=1+1",
    "a" * 3_000,
    "arn:aws:iam::000000000003:role/web",
    "arn:aws:iam::000000000001:instance-profile/WEB",
    "arn:aws:iam::XXXXXXXXXXXX:role/",
    "arn:::::",
    "name:web",
    "address:x",
    "\u202e<script>'\"`$(x)\n\x1f",
    "%7B%ff",
    "{",
    "2024-13-01T00:00:00Z",
    "9999-12-31T23:59:59.9999999-23:59",
    "AWS::IAM::Role",
    "$Latest",
]
ODD_NUMBERS = [0, -1, 1, 2**31, 2**63, -(2**64), 10**30, 1.5, 1e300]
ODD_VALUES = [None, True, False, [], {}, [None], [[]], [{}], {"": None}, {"Key": "a"}, {"year": 10**20}]


def paths(node: Any, at: Path = ()) -> Iterator[Path]:
    """Yield where each value of a document stands, the document itself first."""
    yield at
    if isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from paths(value, (*at, key))


def value_at(document: Any, path: Path) -> Any:
    for key in path:
        document = document[key]
    return document


def replaced(document: Any, path: Path, value: Any) -> Any:
    "Return a document with different value at a place."
    if not path:
        return value
    changed = deepcopy(document)
    value_at(changed, path[:-1])[path[-1]] = value
    return changed


odd = st.sampled_from([*ODD_VALUES, *ODD_NUMBERS, *ODD_TEXTS]) | st.text(max_size=8)


@st.composite
def changed(draw: st.DrawFn, document: Any) -> Any:
    """Draw a document with one thing changed in it."""
    places = list(paths(document))
    path = places[draw(st.integers(min(1, len(places) - 1), len(places) - 1))]
    if not path:
        return draw(odd)
    copy = deepcopy(document)
    holder, key = value_at(copy, path[:-1]), path[-1]
    value = holder[key]
    kind = draw(st.sampled_from(["set", "set", "remove", "twin", "neighbour", "rename", "shuffle"]))
    if kind == "remove":
        del holder[key]
    elif kind == "twin" and isinstance(holder, list):
        holder.insert(draw(st.integers(0, len(holder))), draw(changed(value)) if draw(st.booleans()) else value)
    elif kind == "neighbour":
        others = holder if isinstance(holder, list) else list(holder.values())
        holder[key] = deepcopy(draw(st.sampled_from(others)))
    elif kind == "rename" and isinstance(holder, dict):
        holder[draw(st.sampled_from([*holder, "Tags", "arn", "Arn", "NextToken", "resourceType"]))] = holder.pop(key)
    elif kind == "shuffle" and isinstance(value, list):
        holder[key] = draw(st.permutations(value))
    elif kind == "shuffle" and isinstance(value, dict):
        holder[key] = {name: value[name] for name in draw(st.permutations(list(value)))}
    else:
        holder[key] = draw(odd)
    return copy


@st.composite
def rewritten(draw: st.DrawFn, text: bytes, others: list[bytes]) -> bytes:
    """Draw a file's bytes as they look after a bad copy: cut short, appended to, garbled."""
    kind = draw(st.sampled_from(["cut", "appended", "garbled", "utf-16", "lines"]))
    if kind == "cut":
        return text[: draw(st.integers(0, len(text)))]
    if kind == "appended":
        return text + draw(st.sampled_from([b"", b"\n", b",", b"\0"])) + draw(st.sampled_from(others))
    if kind == "garbled":
        at = draw(st.integers(0, len(text)))
        return text[:at] + draw(st.binary(min_size=1, max_size=3)) + text[at + draw(st.integers(0, 3)) :]
    if kind == "utf-16":
        return text.decode(errors="replace").encode("utf-16")
    return b"[" + b",\n".join(draw(st.permutations([text, *others[:2]]))) + b"]"


@st.composite
def packed(draw: st.DrawFn, name: str, content: bytes) -> tuple[str, bytes]:
    """Draw a file under another name, in another folder, or packed; its packing may be damaged."""
    kind = draw(st.sampled_from(["gz", "zip", "moved", "named", "damaged gz", "damaged zip"]))
    if kind == "moved":
        folder = draw(st.sampled_from(["a", ONE, TWO, "us-east-1", "role-tags", "instance-profile-tags", "x.y"]))
        return f"{folder}/{name}", content
    if kind == "named":
        stem, _, last = name.rpartition("/")
        new = draw(st.sampled_from(["x.json", "identity.json", "for-role.json", "us-east-1.json", "é\n.json", last]))
        return f"{stem}/{new}" if stem else new, content
    if kind.endswith("gz"):
        name, content = name + ".gz", gzip.compress(content, mtime=0)
    else:
        inner = draw(st.sampled_from([name, "../../x.json", f"{TWO}/x.json", "role-tags/web.json"]))
        name, content = name + ".zip", zipped({inner: content})
    if kind.startswith("damaged"):
        at = draw(st.integers(0, len(content) - 1))
        content = content[:at] + draw(st.binary(max_size=2)) + content[at + 1 :]
    return name, content


@st.composite
def broken(draw: st.DrawFn, files: Files, most: int = 3) -> dict[str, bytes]:
    """Draw files of a world, some of them, with one to three things done to them."""
    names = draw(st.lists(st.sampled_from(sorted(files)), min_size=1, max_size=6, unique=True))
    documents = {name: files[name] for name in names}
    texts: dict[str, bytes] = {}
    for _ in range(draw(st.integers(1, most))):
        name = draw(st.sampled_from(sorted(documents)))
        if isinstance(documents[name], dict | list):
            documents[name] = draw(changed(documents[name]))
    for name, document in documents.items():
        texts[name] = bytes_of(document)
    if draw(st.integers(0, 2)) == 0:
        name = draw(st.sampled_from(sorted(texts)))
        texts[name] = draw(rewritten(texts[name], [texts[other] for other in sorted(texts)]))
    if draw(st.integers(0, 2)) == 0:
        name = draw(st.sampled_from(sorted(texts)))
        new, content = draw(packed(name, texts.pop(name)))
        texts[new] = content
    return texts


def broken_worlds(most: int = 3) -> st.SearchStrategy[dict[str, bytes]]:
    """Return a strategy of files of one world, or of several at once, with something done to them."""
    worlds = [*WORLDS.values(), EVERYTHING]
    return st.sampled_from(range(len(worlds))).flatmap(lambda index: broken(worlds[index], most))
