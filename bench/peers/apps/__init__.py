"""What runs in the peers' own environment: nothing here imports the bus."""
