"""Is it any good? Coverage, collapse, memorisation, distances between sets, and the verdict in words."""
