"""A practice account: a simulated AWS account on this machine (127.0.0.1).

The package moto stores the resources. iamframe corrects the responses of moto that differ from those of AWS.
Corrections concern, for example, tags, pages, ids and errors.
"""

from iamframe.practice.account import PracticeAccount, refusal_of
from iamframe.practice.calls import Request

__all__ = ["PracticeAccount", "Request", "refusal_of"]
