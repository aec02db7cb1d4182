"""The book as text: YAML bundles of agencies, sources, services and applications, applied whole or not at all.

``shape`` says which keys a bundle has, ``reading`` turns a file into plain values, ``apply`` and ``export`` carry
them to and from the models.
"""
