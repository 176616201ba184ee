"""Start the collector: python run.py [command]."""

from collector.cli import main

if __name__ == "__main__":
    main()
