"""Make pictures of calls: `sheet` says what is on one, the other modules fill it from a file, and draw it."""
