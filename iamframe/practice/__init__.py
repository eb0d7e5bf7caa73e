"""A practice account: a simulated AWS account on this machine (127.0.0.1).

The package moto stores the resources. iamframe corrects responses of moto that differ from AWS, such as ids and error
messages.
"""

from iamframe.practice.account import PracticeAccount, refusal_of
from iamframe.practice.calls import Request

__all__ = ["PracticeAccount", "Request", "refusal_of"]
