"""Program code that calls an operation, in the languages of callers, and the adapter file for programs of 1.99x."""
