"""The sources of facts: each yields `records.Answer`s, which hold only what they prove."""
