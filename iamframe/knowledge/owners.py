"""Find the EKS cluster, Elastic Beanstalk environment or CloudFormation stack that owns a profile.

A profile's tags or path show its cluster, environment or stack. A profile's name only suggests a cluster, environment
or stack.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from functools import cache, cached_property
from importlib.resources import files
from typing import Any, NamedTuple

import msgspec

from iamframe.knowledge.makers import TAG, Form, Maker, own_tag
from iamframe.knowledge.operations import command_of, read_of

PATH, NAME = "path", "name"
_GROUP = re.compile(r"\(\?P<\w+>")
_CLUSTER_TAG = "kubernetes.io/cluster/"


class Owned(NamedTuple):
    owner: Owner
    # The names or ids of the cluster, environment or stack.
    names: tuple[str, ...]
    region: str | None
    basis: str


class Owner(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """A type of resource that a profile may belong to (see `owners.toml`)."""

    owner_type: str
    # The call that lists the clusters, environments or stacks in a region.
    service: str
    operation: str
    # The key of the list in the response.
    key: str
    source: str
    date: dt.date
    parameters: dict[str, Any] = {}
    # The names of these fields in a record. If a record is a text, the text is the name.
    id: str = ""
    name: str = ""
    arn: str = ""
    state: str = ""
    # The states in which the cluster, environment or stack no longer exists.
    over: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    region_tags: tuple[str, ...] = ()
    path: str = ""
    form: str = ""
    lifts: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        # The label `DescribeEnvironments` already means the environments that use profiles.
        row = read_of(self.service, self.operation)
        return row.action if row else f"{self.service}:{self.operation}"

    @property
    def command(self) -> str:
        return command_of(self.label)

    @property
    def collected(self) -> str:
        """A JMESPath expression that selects the part of each response that the collect script keeps."""
        fields = ", ".join(
            f"{field}: {field}" for field in dict.fromkeys((self.id, self.name, self.arn, self.state)) if field
        )
        return f"{{{self.key}: {self.key}{f'[].{{{fields}}}' if fields else ''}}}"

    @property
    def hint(self) -> str:
        """A `grep -E` pattern that finds profiles of this kind of owner in AWS CLI output."""
        texts = [f'"{key}"' for key in self.tags]
        texts += [self.path.partition("(")[0]] if self.path else []
        texts += ['-[A-Za-z0-9]+-[A-Za-z0-9]{11,13}"'] if self.form else []
        return "|".join(texts)

    @cached_property
    def _path(self) -> re.Pattern[str]:
        return re.compile(self.path)

    @cached_property
    def name_form(self) -> Form:
        return Maker(self.owner_type, profile=self.form).form(["profile"])

    def of(self, name: str, path: str, tags: Mapping[str, str]) -> Owned | None:
        on_path = self._path.fullmatch(path) if self.path else None
        region = on_path["region"] if on_path else next((tags[key] for key in self.region_tags if tags.get(key)), None)
        tagged = [tags[key] for key in self.tags if tags.get(key)]
        if tagged or on_path:
            names = dict.fromkeys([*tagged, *([on_path["name"]] if on_path else [])])
            return Owned(self, tuple(names), region, TAG if tagged else PATH)
        # The last part of a UUID has no capitals; a random text of CloudFormation has some.
        if self.form and re.search("[A-Z]", name.rpartition("-")[2]) and self.name_form.fits(f"{path}\n{name}"):
            return Owned(self, (name.rsplit("-", 2)[0],), None, NAME)
        return None

    def lifted(self, key: str, names: tuple[str, ...]) -> bool:
        own = own_tag(key)
        of_another = key.startswith(_CLUSTER_TAG) and key.removeprefix(_CLUSTER_TAG) not in names
        return own is not None and own.maker in self.lifts and not of_another


@cache
def known_owners() -> tuple[Owner, ...]:
    text = files("iamframe.knowledge").joinpath("owners.toml").read_bytes()
    return msgspec.toml.decode(text, type=dict[str, tuple[Owner, ...]])["owner"]


def owner_of(name: str, path: str, tags: Mapping[str, str]) -> Owned | None:
    return min(owners_of(name, path, tags), key=lambda one: one.basis == NAME, default=None)


def owners_of(name: str, path: str, tags: Mapping[str, str]) -> list[Owned]:
    return [one for owner in known_owners() if (one := owner.of(name, path, tags))]


class OwnerSigns(NamedTuple):
    # Tag keys.
    tags: tuple[str, ...]
    # A regular expression for two lines: a profile's path and name.
    texts: str


@cache
def shows_owner() -> OwnerSigns:
    """Return the tag keys, paths and names that show that a profile may belong to a cluster, environment or stack."""
    owners = known_owners()
    tags = [key for owner in owners for key in (*owner.tags, *owner.region_tags)]
    paths = [f"(?:{_GROUP.sub('(?:', owner.path)})\\n[^\\n]*" for owner in owners if owner.path]
    names = [owner.name_form.plain for owner in owners if owner.form]
    return OwnerSigns(tuple(dict.fromkeys(tags)), rf"\A(?:{'|'.join((*paths, *names))})\z")
