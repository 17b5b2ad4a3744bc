"""A folder of results becomes one page, `report.html`, that people would rather look at."""
