"`python -m crmeval` is the `crmeval` command."

from crmeval.cli.app import main

if __name__ == "__main__":
    raise SystemExit(main())
