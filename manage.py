#!/usr/bin/env python3
"""Django's command line."""

import os
import sys


def main() -> None:
    """Run the command of the arguments."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sessions_project.settings")
    from sessions_project.command_line import CommandLine

    CommandLine(sys.argv).execute()


if __name__ == "__main__":
    main()
