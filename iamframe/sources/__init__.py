"""Read AWS's answers from files and live accounts into `Answer` objects."""
