"""Keep the state of streams over time. Time is an argument: nothing here reads a clock."""
