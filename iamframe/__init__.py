"""IAM roles and instance profiles as linked DataFrames, and checks that find what is wrong with them.

`load`, `load_files`, `load_sample` and `open_snapshot` return an `Inventory`. `run_checks` returns a `Result`.
`write_report` writes a result to files, and the module `plots` draws a result. `plan` returns a clean-up plan.

The public names are loaded on first use, so importing iamframe takes almost no time.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
