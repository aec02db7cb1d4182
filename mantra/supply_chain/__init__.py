"""What the bus is made of, as a bill of materials, and which advisories concern it."""
