"""How fast the service is, beside the floor of this machine and other ways of writing it: ``make bench``."""
