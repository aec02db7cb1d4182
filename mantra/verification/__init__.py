"""Verification operations: the caller sends a key and what it has; the response says which of it agrees."""
