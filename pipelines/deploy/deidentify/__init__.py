"""Films without identity, for research: PS3.15 Annex E, pseudonyms by a key that the user keeps."""
