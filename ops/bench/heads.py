#!/usr/bin/env python3
"""How long a round of signing takes with so many tenants that have all gone on: standard library only.

    ops/bench/heads.py PROGRAM FOLDER [--tenants 1000] [--rounds 5]

Each round gives every tenant one more event over HTTP and waits until all have been signed. The time is the service's own
(`seatledger_sign_round_seconds` of /metrics): from looking for tenants that went on to the last head being on disk and published.
A round that begins while events still come signs those that are there, so there may be more rounds than were asked for.
"""

import argparse
import http.client
import json
import os
import pathlib
import subprocess
import time

TOKEN = "x" * 40


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--tenants", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "SEATLEDGER_ROOT_TOKEN": TOKEN, "SEATLEDGER_STRANGER_REQUESTS_PER_SECOND": "0"}
    command = [asked.program, "serve", "--data", str(asked.folder / "ledger"), "--listen", "127.0.0.1:0", "--log", "warn"]
    service = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    host = service.stdout.readline().strip().removeprefix("listening on http://")
    connection = http.client.HTTPConnection(host, timeout=600)

    def call(method, path, body=None):
        headers = {"Authorization": "Bearer " + TOKEN, "Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {answer.status} {text[:300]}")
        return text

    def rounds():
        """How many there were, and how long they took together."""
        found = {"sum": 0.0, "count": 0.0}
        for line in call("GET", "/metrics").splitlines():
            for word in found:
                if line.startswith("seatledger_sign_round_seconds_" + word):
                    found[word] = float(line.split()[-1])
        return found["count"], found["sum"]

    try:
        for number in range(asked.rounds):
            before = rounds()
            for tenant in range(asked.tenants):
                call("PUT", f"/v1/tenants/t{tenant}", {"name": f"Tenant {tenant} at {number}"})
            time.sleep(12)
            count, took = (now - then for now, then in zip(rounds(), before))
            files = sum(1 for _ in (asked.folder / "ledger" / "heads").iterdir())
            print(f"{asked.tenants} tenants: {count:.0f} rounds of {took:.3f} s together, {files} files of heads", flush=True)
    finally:
        service.terminate()
        service.wait(600)


if __name__ == "__main__":
    main()
