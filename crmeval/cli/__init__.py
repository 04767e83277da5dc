"The command line: one file a command."


def main(words=None):
    "Run the `crmeval` command; returns its exit code."
    from crmeval.cli.app import main as run_command

    return run_command(words)
