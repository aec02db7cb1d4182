"""Applications that fetch too much: what is counted of their calls, the rules, and what is done about it."""
