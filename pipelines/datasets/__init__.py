"""A folder becomes a datalist; generated films for whoever has no folder yet."""
