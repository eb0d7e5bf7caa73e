"""What people type and see: command line, plots, explorer, notebooks."""
