"""The demo's data: invented people and lists, always the same. Nobody in it exists."""
