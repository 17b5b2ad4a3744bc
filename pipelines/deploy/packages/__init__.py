"""Files that carry a network with all that prediction needs: written, looked at, opened."""
