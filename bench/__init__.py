"""What the bus costs on this machine, as ratios within one run. README.md tells how to read them."""
