"""What a process counts and measures of itself, in files that every process of the installation can read.

Calls are counted in memory that a file backs: a count is with the kernel at once, and outlives the process.
"""
