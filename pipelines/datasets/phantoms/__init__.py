"""Generated films in the layouts that users have: for demonstrations, tests and first steps."""
