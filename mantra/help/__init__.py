"""The guides for the people who use the bus (docs/id/), as pages, and the help link of every page."""
