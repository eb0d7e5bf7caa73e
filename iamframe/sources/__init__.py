"""The sources of data: each yields `records.Answer`s, which hold only proven facts."""
