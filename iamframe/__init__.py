"""IAM roles and instance profiles as linked DataFrames, with checks that find problems.

`load`, `load_files`, `load_sample` and `open_snapshot` return an `Inventory`. `run_checks` returns a `Result`.
`write_report` writes a result to files, and the module `plots` draws a result. `plan` returns a clean-up plan.

The public names are loaded on first use. Importing iamframe therefore takes almost no time.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
