"""Reconciliation: two lists are joined by a key, and what differs is shown (docs/reconciliation.md)."""
