#!/usr/bin/env python3
"""How long a round of signing takes with so many tenants that have all gone on: standard library only.

    ops/bench/heads.py PROGRAM FOLDER [--tenants 1000] [--rounds 5]

Each round gives every tenant one more event over HTTP and waits until all have been signed. The time is the service's own
(`seatledger_sign_round_seconds` of /metrics): from looking for tenants that went on to the last head being on disk and published.
A round that begins while events still come signs those that are there, so there may be more rounds than were asked for.
"""

import argparse
import pathlib
import time

from service import Service


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--tenants", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    service = Service(asked.program, asked.folder)

    def rounds():
        """How many there were, and how long they took together."""
        found = {"sum": 0.0, "count": 0.0}
        for line in service.must("GET", "/metrics").splitlines():
            for word in found:
                if line.startswith("seatledger_sign_round_seconds_" + word):
                    found[word] = float(line.split()[-1])
        return found["count"], found["sum"]

    try:
        for number in range(asked.rounds):
            before = rounds()
            for tenant in range(asked.tenants):
                service.must("PUT", f"/v1/tenants/t{tenant}", {"name": f"Tenant {tenant} at {number}"})
            time.sleep(12)
            count, took = (now - then for now, then in zip(rounds(), before))
            files = sum(1 for _ in (service.data / "heads").iterdir())
            print(f"{asked.tenants} tenants: {count:.0f} rounds of {took:.3f} s together, {files} files of heads", flush=True)
    finally:
        service.stop()


if __name__ == "__main__":
    main()
