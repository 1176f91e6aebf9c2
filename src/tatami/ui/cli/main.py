"""The `tatami` command. Hot verbs answer before anything heavy is imported."""

import sys


def main(arguments: list[str] | None = None) -> int:
    """Runs one command line and returns its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    from tatami.ui.cli import hot

    try:
        code = hot.run(arguments)
        if code is None:
            from tatami.ui.cli import app

            code = app.run(arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Whoever read our output has seen enough.
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
