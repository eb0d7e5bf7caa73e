"""The sources of data, files and live accounts, each of which yields `records.Answer` objects."""
