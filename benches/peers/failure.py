"""What makes the whole run useless."""


class Failure(Exception):
    """Says what went wrong, and at which target."""
