"""The module `iamframe.ui.exploring`, under the name that people type."""

import sys

from iamframe.ui import exploring
from iamframe.ui.exploring import *  # noqa: F403

sys.modules[__name__] = exploring
