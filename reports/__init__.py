"""The read side: questions, how they are answered from the store, and in which forms.

``urls`` declares what is cached; ``starts``, ``measures`` and ``player_sessions`` read. May import ``events`` (rules
and counts) and every room below it; only ``sessions_project`` imports it.
"""
