"""`python -m iamframe`."""

from iamframe.ui.cli import main

main()
