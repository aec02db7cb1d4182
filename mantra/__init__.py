"""The bus: settings, gateway, management API, definitions as text, and the admin's own pages."""

#: The version of MANTRA, as in pyproject.toml.
VERSION = "2.0.0"
