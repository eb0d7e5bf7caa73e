"""IAM roles and instance profiles as linked DataFrames, and what is wrong with them.

`load` (or `load_files`, `load_sample`, `open_snapshot`) gives an `Inventory`; `run_checks` gives a `Result`;
`write_report` writes it down, `plots` draws it, and `plan` makes of it a clean-up to review. Names are loaded on first
use, so that importing iamframe costs next to nothing; `__init__.pyi` says which module each comes from.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
