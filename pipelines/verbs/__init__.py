"""The verbs of the command line: each module adds its own and calls one typed function for each."""
