"""The module `iamframe.inventory.schema`, under the name that people type."""

import sys

from iamframe.inventory import schema
from iamframe.inventory.schema import *  # noqa: F403

sys.modules[__name__] = schema
