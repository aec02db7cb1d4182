"""What can be exported, and the pages of a person's exports. The worker makes the files (registry/exports/)."""
