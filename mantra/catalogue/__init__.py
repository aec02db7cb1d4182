"""The catalogue's pages: what the bus offers, for everybody who looks for data."""
