"""Analyses of collected data and of live accounts: `explain`, `compare`, `drift`, `plan`, `history` and others."""
