"""Scoring of files: the engine's own chain over the rows of a CSV or Parquet file, for `tocsin score`."""
