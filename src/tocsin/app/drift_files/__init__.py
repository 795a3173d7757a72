"""`tocsin drift`: two files of any user compared, chunk by chunk, with performance estimated and realised."""
