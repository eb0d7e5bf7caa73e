"""A practice account on this machine (127.0.0.1), which answers as AWS does.

The package moto keeps the resources. iamframe replaces moto's answers that differ from AWS's, for example in tags,
pages, ids and errors.
"""

from iamframe.practice.account import PracticeAccount, refusal_of
from iamframe.practice.calls import Request

__all__ = ["PracticeAccount", "Request", "refusal_of"]
