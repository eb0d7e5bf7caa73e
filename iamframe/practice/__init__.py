"""An account to practise on: it answers over HTTP as AWS does, on 127.0.0.1, and costs and breaks nothing.

It is a layer over moto. moto keeps what the account holds; where its answers differ from those of AWS (tags in
listings, pages, ids, refusals), they are written here. Nothing of it is needed to read files or to run checks.
"""

from iamframe.practice.account import PracticeAccount, refusal_of
from iamframe.practice.calls import Request

__all__ = ["PracticeAccount", "Request", "refusal_of"]
