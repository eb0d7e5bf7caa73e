"""Questions to a result: explain, compare, plan, history, owners, blind spots, probe."""
