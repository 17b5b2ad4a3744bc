"""A radiograph becomes a tensor: MONAI dictionary transforms for any bundle config."""
