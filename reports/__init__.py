"""The read side: questions, how they are answered from the store, and in which forms.

``urls`` declares what is cached; ``starts`` and ``player_sessions`` read. Imports ``events`` (rules and counts),
``caching``, ``web`` and ``store``; only ``sessions_project`` imports it.
"""
