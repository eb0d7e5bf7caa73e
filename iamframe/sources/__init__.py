"""Where facts come from: each source yields `records.Answer`s, which state what they prove and nothing else."""
