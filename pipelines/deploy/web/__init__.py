"""The HTTP face of a node: one film answered over REST, STOW-RS in, status, metrics, a page."""
