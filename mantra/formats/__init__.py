"""The form of dates and times, for each language."""
