"""Listen to streams: `base` says what a plugin is, each other module is one, or runs them."""
