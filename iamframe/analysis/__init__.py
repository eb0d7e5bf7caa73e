"""Answers about a result: explain, compare, plan, history, owners, blind spots, probe."""
