"""The use of access keys: what a key opens and fetched, from where, and what to do if it has leaked."""
