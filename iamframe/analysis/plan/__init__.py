"""Clean-up plans: shell scripts to review."""
