"""Moving in from MANTRA 1.99x: reads its database, and makes of it what a bundle of definitions and the users are.

``old`` has the rows of the old database, ``reading`` gets them from a dump or a server, ``translating`` turns each
definition into ours, with remarks on what a person must know.
"""
