"`python -m crmeval` is the `crmeval` command."

from crmeval.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
