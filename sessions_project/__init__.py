"""The top room: settings, addresses, the chain of WSGI stages, system checks and health.

Imports every room; no room imports this one. Whatever a room needs from here is passed in.
"""

# Of the service, its schema and its changelog; pyproject.toml reads it here.
__version__ = "1.0.0"
