"""The pages of stops and incidents (docs/containment.md). Their rules: registry/containment.py, registry/incidents.py."""
