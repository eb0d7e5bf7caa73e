"""A practice account: a simulated AWS account on this machine (127.0.0.1).

The package moto stores the resources. iamframe corrects, for example, moto's tags, pages, ids and errors.
"""

from iamframe.practice.account import PracticeAccount, refusal_of
from iamframe.practice.calls import Request

__all__ = ["PracticeAccount", "Request", "refusal_of"]
