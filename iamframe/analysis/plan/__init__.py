"""A clean-up to be reviewed, as a shell script."""
