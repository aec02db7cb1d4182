"""The catalogue's page on which a requester asks for grants: several operations of a service at once."""
