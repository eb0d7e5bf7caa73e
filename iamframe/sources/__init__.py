"""The sources of data. Each yields `records.Answer`s, which hold only facts that the source shows."""
