"""Reconciliation: two lists joined by a key, and what differs between them."""
