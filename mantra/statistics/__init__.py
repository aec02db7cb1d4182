"""Dashboards: who calls what, how much, how well, and what is ill. The numbers come from registry/statistics."""
