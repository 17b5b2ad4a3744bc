"""A file becomes a `Radiograph`: the one reader of the package."""
