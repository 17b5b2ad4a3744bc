"""Films predicted by many processes or machines of a Ray cluster."""
