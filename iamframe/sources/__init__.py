"""Read AWS's answers from files and live accounts, as `records.Answer` objects."""
