"The command line, with one module per command."


def main(words=None):
    "Run the `crmeval` command; returns its exit code."
    if words is not None:
        return _run(words)
    import gc

    from crmeval.cli.interrupts import interruptible
    from crmeval.core.call_forms import without_help

    gc.set_threshold(50_000, 20, 50)  # loaded modules stay: collecting took a tenth of the start time
    without_help()
    return interruptible(lambda: _run(None))


def _run(words):
    import sys

    from crmeval import _need_extra

    try:
        _need_extra("run", "the command line")
    except ImportError as error:
        print(f"crmeval: {error}", file=sys.stderr)
        return 2
    from crmeval.cli.app import main as run_command

    return run_command(words)
