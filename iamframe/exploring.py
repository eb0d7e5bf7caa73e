"""A short name for the module `iamframe.ui.exploring`."""

import sys

from iamframe.ui import exploring
from iamframe.ui.exploring import *  # noqa: F403

sys.modules[__name__] = exploring
