"""The management API: the book over HTTP, under the same rules as the admin's."""
