"""What of the documents is made from the code, and the site that shows them. Imports no other room.

``python -m documentation`` writes the generated parts; ``site_hooks`` are hooks of mkdocs.
"""
