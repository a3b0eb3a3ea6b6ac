"""How evidence leaves the host: one attempt at a time, over sinks that know nothing of each other."""
