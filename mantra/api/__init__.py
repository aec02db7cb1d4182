"""The management API: the registry over HTTP, under the same rules as in the admin."""
