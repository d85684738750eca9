"""What the programs in Python share: they show the features that they are asked for, in order."""

import datetime
import os
import sys
import traceback

tag = os.environ["DRIVER_TAG"]


def table(name):
    return f"{name}_{tag}"


def text(value):
    """Text of a value that is the same in every run."""
    if isinstance(value, (bytes, memoryview)):
        value = bytes(value)
        return value.hex() if len(value) <= 20 else f"{len(value)} bytes"
    if isinstance(value, (list, tuple)):
        return "(" + ", ".join(text(one) for one in value) + ")"
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    return str(value)


def show(*values):
    line = " ".join(text(value) for value in values)
    print(line.replace("\n", "\\n"), flush=True)


def attempt(label, work, describe):
    """Shows what `work` returns, or what `describe` says of its error."""
    try:
        show(label, work())
    except Exception as error:  # The drivers have many kinds.
        show(label, type(error).__name__, *describe(error))


def run(features):
    for name in sys.argv[1:]:
        print(f"## {name}", flush=True)
        feature = features.get(name)
        if feature is None:
            show("not supported: the driver has nothing of the kind")
        elif isinstance(feature, str):
            show("not supported:", feature)
        else:
            try:
                feature()
            except Exception:  # The run goes on; the comparison shows it.
                show("failed:", traceback.format_exc())
    print("## end", flush=True)
