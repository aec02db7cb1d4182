"""The pages of stops and incidents. Their rules are in registry/containment.py and registry/incidents.py."""
