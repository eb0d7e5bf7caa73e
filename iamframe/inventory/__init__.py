"""Load, save and query the DataFrames that hold the data of AWS accounts."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={"inventory": ["Inventory"]})
