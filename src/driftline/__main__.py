"""Run the command line: `python -m driftline`."""

import sys


def main() -> None:
    """Run the command `driftline`."""
    try:
        from driftline._command.app import app
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("driftline"):
            raise
        sys.exit(f"driftline: {error.name} is missing: pip install 'driftline[cli]'")
    except KeyboardInterrupt:
        sys.exit(130)
    app(prog_name="driftline")


if __name__ == "__main__":
    main()
