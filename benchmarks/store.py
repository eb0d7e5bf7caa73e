"""Measure a snapshot: saving it, opening it, and all checks on what was opened, as the table of the README has them.

    python benchmarks/store.py [--roles 1000000] [--accounts 1]

As many profiles as roles and four times as many tags, and a tenth of all that beside it for the ratio. Each step is a
process of its own; the peak is of all that the process held, the opened frames and the findings included.
"""

from __future__ import annotations

import argparse
import pathlib
import tempfile

from run import HERE, once

SAVE = f"""
import dataclasses, sys, time
sys.path.insert(0, {str(HERE)!r})
import numpy as np
from make_inventory import make_inventory, spread
folder, roles, accounts = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
inventory = spread(make_inventory(roles), accounts)
start = time.perf_counter()
inventory.save(folder)
seconds = time.perf_counter() - start
"""
OPEN = """
import sys, time
import iamframe
start = time.perf_counter()
inventory = iamframe.open_snapshot(sys.argv[1])
seconds = time.perf_counter() - start
"""
CHECK = """
import sys, time
import iamframe
start = time.perf_counter()
result = iamframe.run_checks(iamframe.open_snapshot(sys.argv[1]))
seconds = time.perf_counter() - start
"""
