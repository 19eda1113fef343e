"""Dependency lists: what they hold, and orpo-compat put beside trl or in its place."""
