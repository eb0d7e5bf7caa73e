"""A practice account: it answers over HTTP as AWS does, on 127.0.0.1. It costs nothing, and nothing can break.

It is a layer over moto. moto keeps the resources of the account; where its responses differ from those of AWS (tags in
listings, pages, ids, errors), this package replaces them. Reading files and running checks need none of it.
"""

from iamframe.practice.account import PracticeAccount, refusal_of
from iamframe.practice.calls import Request

__all__ = ["PracticeAccount", "Request", "refusal_of"]
