"""The import as pages of the admin: an uploaded dump or a running server, a dry run, its report, and the run for good.

``worker`` makes the runs, one at a time; ``runs`` starts and ends them; ``inputs`` has the files; ``report`` and
``tasks`` say what became of the rows and what a person must do.
"""
