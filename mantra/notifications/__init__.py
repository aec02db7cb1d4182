"""The pages of notifications: one's own, one's choices, and for administrators templates and the test of e-mail."""
