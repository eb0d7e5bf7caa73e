"""Read files and live accounts into `Answer` objects."""
