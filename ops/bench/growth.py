#!/usr/bin/env python3
"""What a command costs as a ledger grows: processor time of the service, which says little of a busy neighbour.

    ops/bench/growth.py PROGRAM FOLDER [--axes events,people,pools,groups,tenants] [--events 10000000] [--tenants 10000]

Along each axis everything else is kept as it is. At each point: single assignments on 16 connections, assignments in bulk of
2,000 lines, and reads of a pool, each for another pair of a person and an app; microseconds of processor time a command, and
the service's resident memory. Standard library only.
"""

import argparse
import asyncio
import itertools
import json
import pathlib
import random
import shutil

from service import Caller, Service, item, people

SINGLES, LINES, READS, CONNECTIONS, BATCH = 6_000, 40_000, 6_000, 16, 2_000
PEOPLE, POOLS = 5_000, 200


def found(service, tenant, count=PEOPLE, pools=POOLS):
    service.must("PUT", tenant, {"name": "Growth"})
    items = [item(f"app{n}") for n in range(pools)]
    for at in range(0, pools, 1000):
        service.must("POST", tenant + "/inventory", {"complete": False, "items": items[at : at + 1000]})
    service.bulk(tenant, people(count))


class Pairs:
    """Each pair of a person and an app once, and in another tenant each time if there are several."""

    def __init__(self, tenants=("/v1/tenants/t0",), count=PEOPLE, pools=POOLS):
        self.tenants, self.count, self.pools, self.next = tenants, count, pools, 0

    def take(self):
        at, self.next = self.next, self.next + 1
        tenant, at = self.tenants[at % len(self.tenants)], at // len(self.tenants)
        user, pool = at % self.count, (at // self.count + at) % self.pools
        assert at < self.count * self.pools, "there are no more pairs"
        return tenant, {"pool": f"declared:app{pool}", "target": {"user": f"u{user}"}, "intent": "required"}


async def all_of(service, calls):
    calls = iter(calls)

    async def one():
        caller = await Caller.to(service.host)
        for call in calls:
            status, text = await caller.call(*call)
            if status >= 300:
                raise SystemExit(f"{call[:2]}: {status} {text[:300]}")
        caller.writer.close()

    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))


def probe(service, pairs):
    """Microseconds of processor time: a single assignment, one in bulk, a read."""

    def cost(count, calls):
        before = service.cpu()
        asyncio.run(all_of(service, calls))
        return (service.cpu() - before) * 1e6 / count

    def single():
        tenant, body = pairs.take()
        return "POST", tenant + "/assignments", json.dumps(body)

    def lines(count):
        tenants = {}
        for tenant, body in (pairs.take() for _ in range(count)):
            tenants.setdefault(tenant, []).append(json.dumps({"type": "assign", **body}) + "\n")
        return [("POST", tenant + "/commands", "".join(texts), "application/x-ndjson") for tenant, texts in tenants.items()]

    singles = [single() for _ in range(SINGLES)]
    bulk = itertools.chain.from_iterable([lines(BATCH) for _ in range(LINES // BATCH)])
    reads = [("GET", f"{pairs.tenants[n % len(pairs.tenants)]}/pools/declared:app{n % 7}") for n in range(READS)]
    return [cost(SINGLES, singles), cost(LINES, bulk), cost(READS, reads), service.mib()["VmRSS"]]


class Growth:
    def __init__(self, program, folder):
        self.program, self.folder, self.rows = program, folder, []

    def fresh(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        return Service(self.program, self.folder)

    def say(self, axis, size, figures):
        self.rows.append({"axis": axis, "size": size, "figures": figures})
        single, line, read, mib = figures
        print(f"| {size:,} {axis} | {single:.1f} | {line:.2f} | {read:.1f} | {mib:,} |", flush=True)

    def sizes(self, axis, sizes, prepare):
        for size in sizes:
            service = self.fresh()
            try:
                self.say(axis, size, probe(service, prepare(service, size)))
            finally:
                service.stop()

    def people(self):
        def prepare(service, size):
            found(service, "/v1/tenants/t0", count=size)
            return Pairs(count=size)

        self.sizes("people", [1_000, 10_000, 100_000], prepare)

    def pools(self):
        def prepare(service, size):
            found(service, "/v1/tenants/t0", pools=size)
            return Pairs(pools=size)

        self.sizes("pools", [20, 200, 2_000, 10_000], prepare)

    def groups(self):
        """Each with 100 people, and given one app."""

        def prepare(service, size):
            tenant = "/v1/tenants/t0"
            found(service, tenant)
            for n in range(size):
                members = [f"u{(n * 100 + m) % PEOPLE}" for m in range(100)]
                service.must("PUT", f"{tenant}/groups/g{n}", {"kind": "users", "members": members})
                target = {"pool": f"declared:app{n % POOLS}", "target": {"group": f"g{n}"}, "intent": "available"}
                service.must("POST", tenant + "/assignments", target)
            return Pairs()

        self.sizes("groups of 100", [1, 100, 2_000], prepare)

    def tenants(self, most):
        def prepare(service, size):
            tenants = [f"/v1/tenants/t{n}" for n in range(size)]
            # as many pairs in all, whatever the number of tenants
            count, pools = max(20, PEOPLE // size), max(10, POOLS // size)
            for tenant in tenants:
                found(service, tenant, count, pools)
            return Pairs(tenants, count, pools)

        self.sizes("tenants", [n for n in (1, 10, 100, 1_000, 10_000) if n <= most], prepare)

    def events(self, most):
        """Installs and uninstalls, so that what is held stays as it is while the history grows."""
        service, tenant = self.fresh(), "/v1/tenants/t0"
        found(service, tenant, pools=2 * POOLS)
        fixed = {"type": "put_device", "platform": "windows", "join": "entra", "enrolled": True, "os_build": 22631}
        devices = [{"device": f"d{n}", "serial": f"d{n}", "primary_user": f"u{n}", **fixed} for n in range(PEOPLE)]
        service.bulk(tenant, devices)
        everybody = {"kind": "users", "members": [f"u{n}" for n in range(PEOPLE)]}
        service.must("PUT", tenant + "/groups/all", everybody)
        for n in range(POOLS, 2 * POOLS):
            target = {"pool": f"declared:app{n}", "target": {"group": "all"}, "intent": "available"}
            service.must("POST", tenant + "/assignments", target)
        pairs, chance, installed = Pairs(), random.Random(1), set()
        try:
            for size in [n for n in (100_000, 1_000_000, 10_000_000, 100_000_000) if n <= most]:
                while service.must("GET", tenant + "/settings")["position"] < size:
                    texts = []
                    for _ in range(20):
                        batch = []
                        for _ in range(BATCH):
                            pair = (POOLS + chance.randrange(POOLS), chance.randrange(PEOPLE))
                            kind = "uninstall" if pair in installed else "install"
                            installed.symmetric_difference_update([pair])
                            names = f'"pool":"pool_{pair[0]}","device":"device_{pair[1]}","user":"user_{pair[1]}"'
                            batch.append(f'{{"type":"{kind}",{names}}}\n')
                        texts.append(("POST", tenant + "/commands", "".join(batch), "application/x-ndjson"))
                    asyncio.run(all_of(service, texts))
                self.say("events", size, probe(service, pairs))
        finally:
            service.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("folder", type=pathlib.Path, help="is made anew for each point")
    parser.add_argument("--axes", default="people,pools,groups,tenants,events")
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--tenants", type=int, default=10_000)
    parser.add_argument("--json", type=pathlib.Path)
    asked = parser.parse_args()
    growth = Growth(asked.program, asked.folder / "growth")
    print("| size | a single assignment, us | one in bulk, us | a read of a pool, us | resident MiB |\n|---|---|---|---|---|")
    for axis in asked.axes.split(","):
        how = getattr(growth, axis)
        how(*{"events": [asked.events], "tenants": [asked.tenants]}.get(axis, []))
    if asked.json:
        asked.json.write_text(json.dumps(growth.rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
