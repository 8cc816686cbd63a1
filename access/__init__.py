"""Who may do what: keys, and how many events each of them may send in a second.

``keys`` says what a key is, ``models`` how it is stored, ``key_set`` keeps the keys that this process knows,
``limits`` their budgets, and ``authorization`` is the stage that checks every request. Which address needs which scope
is decided in ``sessions_project/scopes.py``. Imports ``caching``, ``web`` and ``store``; ``events`` may import it.
"""
