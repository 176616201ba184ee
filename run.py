"""Start the collector: python run.py [command]."""

if __name__ == "__main__":
    import _signal  # what `signal` is made of: the first line must not take long

    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(
            _signal.SIGINT, _signal.SIG_DFL
        )  # Ctrl-C while modules load: gone, without a traceback

    from collector.cli import main

    main()
