"""Programs for those who work on strep; not part of what is installed."""
