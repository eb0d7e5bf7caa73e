"""Find the cluster, environment or stack that owns a profile.

Possible owners are EKS clusters, Elastic Beanstalk environments and CloudFormation stacks. A profile's tags or path
show its owner. A profile's name only suggests an owner.
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
    """The owner of a profile.

    The field `names` contains the owner's names or ids. The field `region` is None if the owner's region is not known.
    The field `basis` is `tag`, `path` or `name`.
    """

    owner: Owner
    names: tuple[str, ...]
    region: str | None
    basis: str


class Owner(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """One kind of owner. The file `owners.toml` describes the fields `tags`, `region_tags`, `path`, `form` and `lifts`.

    Attributes
    ----------
    service, operation, parameters, key
        The call that lists the owners in a region. The field `key` is the key of the list in the response.
    id, name, arn, state
        The names of these fields in a record. If a record is a text, the text is the owner's name.
    over
        The states in which the owner no longer exists.
    """

    owner_type: str
    service: str
    operation: str
    key: str
    source: str
    date: dt.date
    parameters: dict[str, Any] = {}
    id: str = ""
    name: str = ""
    arn: str = ""
    state: str = ""
    over: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    region_tags: tuple[str, ...] = ()
    path: str = ""
    form: str = ""
    lifts: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The operation's IAM action, which the frames `calls` and `gaps` show.

        The label DescribeEnvironments already means the list of environments that use profiles.
        """
        row = read_of(self.service, self.operation)
        return row.action if row else f"{self.service}:{self.operation}"

    @property
    def command(self) -> str:
        """The AWS CLI command that lists the owners."""
        return command_of(self.label)

    @property
    def collected(self) -> str:
        """A JMESPath expression for the part of a response that the collect script keeps."""
        fields = ", ".join(
            f"{field}: {field}" for field in dict.fromkeys((self.id, self.name, self.arn, self.state)) if field
        )
        return f"{{{self.key}: {self.key}{f'[].{{{fields}}}' if fields else ''}}}"

    @property
    def hint(self) -> str:
        """A pattern for `grep -E` that finds profiles with this kind of owner.

        The input of `grep` is the AWS CLI's output about profiles.
        """
        texts = [f'"{key}"' for key in self.tags]
        texts += [self.path.partition("(")[0]] if self.path else []
        texts += ['-[A-Za-z0-9]+-[A-Za-z0-9]{11,13}"'] if self.form else []
        return "|".join(texts)

    @cached_property
    def _path(self) -> re.Pattern[str]:
        return re.compile(self.path)

    @cached_property
    def name_form(self) -> Form:
        """The pattern for paths and names of profiles with this kind of owner."""
        return Maker(self.owner_type, profile=self.form).form(["profile"])

    def of(self, name: str, path: str, tags: Mapping[str, str]) -> Owned | None:
        """Return a profile's owner of this kind, or None."""
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
        """Return whether a tag becomes useless when its owner is deleted.

        The tool that writes the tag must be in the field `lifts`. The tag's key must not contain the name of another
        cluster.
        """
        own = own_tag(key)
        of_another = key.startswith(_CLUSTER_TAG) and key.removeprefix(_CLUSTER_TAG) not in names
        return own is not None and own.maker in self.lifts and not of_another


@cache
def known_owners() -> tuple[Owner, ...]:
    """Return the kinds of owners, in the order of `owners.toml`."""
    text = files("iamframe.knowledge").joinpath("owners.toml").read_bytes()
    return msgspec.toml.decode(text, type=dict[str, tuple[Owner, ...]])["owner"]


def owner_of(name: str, path: str, tags: Mapping[str, str]) -> Owned | None:
    """Return the owner of a profile, or None. The tags and path count more than the name."""
    found = [one for owner in known_owners() if (one := owner.of(name, path, tags))]
    return min(found, key=lambda one: one.basis == NAME, default=None)


class Shown(NamedTuple):
    """The signs of an owner.

    The field `tags` contains tag keys. The field `texts` is a regular expression for the profile's path and name. The
    path and the name stand on separate lines.
    """

    tags: tuple[str, ...]
    texts: str


@cache
def shows_owner() -> Shown:
    """Return the signs of all kinds of owners. A profile without these signs has no known owner."""
    owners = known_owners()
    tags = [key for owner in owners for key in (*owner.tags, *owner.region_tags)]
    paths = [f"(?:{_GROUP.sub('(?:', owner.path)})\\n[^\\n]*" for owner in owners if owner.path]
    names = [owner.name_form.plain for owner in owners if owner.form]
    return Shown(tuple(dict.fromkeys(tags)), rf"\A(?:{'|'.join((*paths, *names))})\z")
