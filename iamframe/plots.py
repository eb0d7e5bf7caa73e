"""A short name for the module `iamframe.ui.plots`."""

import sys

from iamframe.ui import plots
from iamframe.ui.plots import *  # noqa: F403

sys.modules[__name__] = plots
