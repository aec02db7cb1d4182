"""Synchronisation: an operation's rows kept in a table of an own data source."""
