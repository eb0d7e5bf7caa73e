"""The sources of data. Each source yields `records.Answer` objects with only the facts that it contains."""
