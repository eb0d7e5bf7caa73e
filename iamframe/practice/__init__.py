"""A practice account: a simulated AWS account on this machine (127.0.0.1).

The package moto stores the resources. iamframe corrects moto's responses where they differ from AWS's, for example in
tags, pages, ids or errors.
"""

from iamframe.practice.account import PracticeAccount, refusal_of
from iamframe.practice.calls import Request

__all__ = ["PracticeAccount", "Request", "refusal_of"]
