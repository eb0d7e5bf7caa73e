"""A practice account, which answers as AWS does, on this machine (127.0.0.1).

The package moto keeps the resources of the account. Some answers of moto differ from AWS's, for example in tags,
pages, ids and errors. This package replaces such answers. You do not need it to read files or run checks.
"""

from iamframe.practice.account import PracticeAccount, refusal_of
from iamframe.practice.calls import Request

__all__ = ["PracticeAccount", "Request", "refusal_of"]
