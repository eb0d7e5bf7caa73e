"""A short name for the module `iamframe.inventory.schema`."""

import sys

from iamframe.inventory import schema
from iamframe.inventory.schema import *  # noqa: F403

sys.modules[__name__] = schema
