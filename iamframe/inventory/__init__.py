"""Records become linked frames: schema, staging, merging, gaps, views, loading, snapshots, SQL."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={"inventory": ["Inventory"]})
