"""The checks of ``manage.py doctor`` that the health board does not have: a module each, with ``check``."""
