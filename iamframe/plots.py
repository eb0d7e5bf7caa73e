"""The module `iamframe.ui.plots`, under the name that people type."""

import sys

from iamframe.ui import plots
from iamframe.ui.plots import *  # noqa: F403

sys.modules[__name__] = plots
