"""The user interfaces: command line, plots, explorer, notebooks."""
