"""The registry as text: YAML bundles of agencies, sources, services and applications, applied whole or not at all.

* ``schema``: the keys of a bundle.
* ``reading``: YAML to plain values.
* ``bundle_reader``: the values of a bundle, and the problems in it.
* ``bundle_writer``: the rows made from these values, and the changes that this makes.
* ``report``: problems and changes as text.
* ``apply``, ``export``: a bundle into the registry, the registry into a bundle.
"""
