"""The page for people: a template and scripts that ask the API as any client does. Imports no other room."""
