"""People who sign in: invitations, sessions, locked names, and the second factor."""
