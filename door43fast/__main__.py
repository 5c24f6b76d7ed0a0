"""``python -m door43fast``: the command line."""

from door43fast.cli import main

if __name__ == "__main__":
    main()
