"""Statistics: roll-ups of calls, written with their records (rollups) and read by pages and reports (reading)."""
