"""/metrics: what all processes of the bus count and measure, for Prometheus."""
