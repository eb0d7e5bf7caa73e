"""These modules turn records into linked frames. They define, build, load, save and query the frames."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={"inventory": ["Inventory"]})
