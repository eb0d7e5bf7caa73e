"""Analyses of inventories and live accounts, such as `explain`, `compare` and `plan`."""
