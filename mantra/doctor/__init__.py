"""``manage.py doctor``: everything that can be wrong with an installation, in one look, with what to do about it.

It takes the checks of the health board (mantra/health/checks), and has its own in checks/: of the configuration, of
what is around the bus, and of what must be reached. It works while parts are down.
"""
