"""The gate before a model goes out: a policy, the candidate's records, and a verdict on every rule."""
