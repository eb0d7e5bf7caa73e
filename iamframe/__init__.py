"""iamframe: IAM roles and instance profiles as linked DataFrames, with the findings that matter."""
