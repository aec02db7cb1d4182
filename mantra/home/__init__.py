"""The first page of the admin: what waits for each role, with a line for each piece of work."""
