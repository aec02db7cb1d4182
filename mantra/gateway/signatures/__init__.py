"""HTTP Message Signatures (RFC 9421): requests that their application signed, and responses that the bus signs."""
