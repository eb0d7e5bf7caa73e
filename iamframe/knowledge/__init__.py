"""Facts about AWS and tools, with dates and sources."""
