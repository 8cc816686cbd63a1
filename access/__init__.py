"""Who may do what: keys, and how many events a second each of them may send.

``keys`` says what a key is, ``models`` and ``key_store`` how it is stored, ``key_set`` has the keys that this process
knows, ``limits`` their budgets, and ``authorization`` is the stage that checks every request.
``sessions_project/scopes.py`` decides which address needs which scope. May import ``caching`` and every room below it;
``events`` may import it.
"""
