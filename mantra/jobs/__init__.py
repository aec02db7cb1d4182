"""Jobs: an operation run for each row of a file, by the worker."""
