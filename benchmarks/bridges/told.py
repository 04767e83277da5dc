"What every trial says, and the one case that all of them try."

import json
from importlib.metadata import version

CONTEXT = "Agent: Your parcel arrives on Friday."
RIGHT, WRONG = "It arrives on Friday.", "It arrives on Monday."


def tell(package, what):
    "The row of a trial that held."
    print(json.dumps({"package": package, "version": version(package), "tried": what, "holds": True}))
