"""Room: `python -m eventlog`, the same as the command `eventlog`."""

from eventlog.cli.app import main

if __name__ == "__main__":
    main()
