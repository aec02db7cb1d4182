"""What is ill of the bus: findings, checks that make them, the health board, and the public status page."""
