#!/usr/bin/env python3
"""Reads of the past at so many events: fills a ledger through its own doors, then asks at positions that nobody asked for
before. Standard library only.

    ops/bench/as_of.py load PROGRAM FOLDER [--events 10000000] [--batch 64]
    ops/bench/as_of.py ask PROGRAM FOLDER [--each 200] [--seed 1]

`load` goes on where it stopped. `ask` prints p50, p99 and max of each read over HTTP on one connection, in milliseconds.
"""

import argparse
import http.client
import json
import os
import pathlib
import random
import subprocess
import time

TOKEN = "x" * 40
TENANT = "/v1/tenants/big"
POOLS, USERS, TEAMS = 200, 50_000, 20
# a third of everything happens in one pool
BUSY_POOL, BUSY_SHARE = 1, 0.33
# has 300 seats, and 2,500 people for whom it is required
QUEUED_POOL = 10
# has fewer seats than are held since its purchase was corrected
OVER_POOL = 20
# so many people move on each day, and as many of the first page: they are renamed, and join or leave a team
MOVES = 40
MOVES_OF_THE_FIRST = 10
# of a thousand commands, so many are told a day after they occurred
LATE = 2


class Service:
    def __init__(self, program, folder):
        folder.mkdir(parents=True, exist_ok=True)
        command = [program, "serve", "--data", folder / "ledger", "--listen", "127.0.0.1:0", "--clock", "manual"]
        environment = {**os.environ, "SEATLEDGER_ROOT_TOKEN": TOKEN, "SEATLEDGER_STRANGER_REQUESTS_PER_SECOND": "0"}
        log = open(folder / "service.log", "a", encoding="utf-8")
        self.process = subprocess.Popen(
            [*map(str, command), "--log", "warn"], env=environment, stdout=subprocess.PIPE, stderr=log, text=True
        )
        host = self.process.stdout.readline().strip().removeprefix("listening on http://")
        self.connection = http.client.HTTPConnection(host, timeout=3600)

    def call(self, method, path, body=None, lines=False):
        kind = "application/x-ndjson" if lines else "application/json"
        data = body if lines or body is None else json.dumps(body)
        headers = {"Authorization": "Bearer " + TOKEN, "Content-Type": kind, "Accept": kind}
        self.connection.request(method, path, data, headers)
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def must(self, method, path, body=None, lines=False):
        status, text = self.call(method, path, body, lines)
        if status >= 300:
            raise SystemExit(f"{method} {path}: {status} {text[:400]}")
        return text if lines else json.loads(text)

    def head(self):
        return self.must("GET", TENANT + "/settings")["position"]

    def stop(self):
        self.process.terminate()
        self.process.wait(600)


def lines_of(service, commands, size):
    for at in range(0, len(commands), size):
        text = "".join(json.dumps(command) + "\n" for command in commands[at : at + size])
        service.must("POST", TENANT + "/commands", text, lines=True)


def item(n, owned):
    price = {"currency": "EUR", "minor_units": 1000 + n}
    fixed = {"license_type": "online", "publisher": "C", "distribution_policy": "restricted", "encrypted": False}
    return {"sku": f"p{n}", "name": f"P{n}", "owned": owned, "price": price, "related_set": None, **fixed}


def found(service):
    items = [item(n, 300 if n % 10 == 0 else 60_000) for n in range(POOLS)]
    service.must("PUT", TENANT, {"name": "Big"})
    service.must("POST", TENANT + "/inventory", {"complete": True, "items": items})
    users = [{"type": "put_user", "user": f"u{n}", "user_name": f"u{n}"} for n in range(USERS)]
    lines_of(service, users, 2000)
    fixed = {"type": "put_device", "platform": "windows", "join": "entra", "enrolled": True, "os_build": 22631}
    devices = [{"device": f"d{n}", "serial": f"d{n}", "primary_user": f"u{n}", **fixed} for n in range(USERS)]
    lines_of(service, devices, 2000)
    everybody = [f"u{n}" for n in range(USERS)]
    service.must("PUT", TENANT + "/groups/all", {"kind": "users", "members": everybody})
    for team in range(TEAMS):
        service.must("PUT", f"{TENANT}/groups/team{team}", {"kind": "users", "members": everybody[team::TEAMS]})
    for pool in range(POOLS):
        target = {"group": "all", "exclude": f"team{pool % TEAMS}"} if pool % 7 == 3 else {"group": "all"}
        body = {"pool": f"declared:p{pool}", "target": target, "intent": "available"}
        service.must("POST", TENANT + "/assignments", body)
    # more wait for this one than it has seats
    queued = {"pool": f"declared:p{QUEUED_POOL}", "target": {"group": "team1"}, "intent": "required", "mode": "fill"}
    service.must("POST", TENANT + "/assignments", queued)
    for n in range(50):
        service.must("POST", TENANT + "/tokens", {"name": f"Token {n}", "role": "auditor"})
        service.must("PUT", f"{TENANT}/tools/tool{n}", {"name": f"Tool {n}"})


def move(service, chance, day):
    people = {*chance.sample(range(USERS), MOVES), *chance.sample(range(200), MOVES_OF_THE_FIRST)}
    users = [{"type": "put_user", "user": f"u{n}", "user_name": f"u{n}", "display_name": f"U {day}"} for n in people]
    lines_of(service, users, len(users))
    # not the team that waits for a pool
    team = 2 + day % (TEAMS - 2)
    joined = [f"u{n}" for n in people] + [f"u{n}" for n in range(team, USERS, TEAMS)][day:]
    service.must("PUT", f"{TENANT}/groups/team{team}", {"kind": "users", "members": sorted(set(joined))})
    if day == 12:
        service.must("POST", TENANT + "/inventory", {"complete": False, "items": [item(OVER_POOL, 100)]})


def load(service, target, size):
    if service.call("GET", TENANT)[0] == 404:
        found(service)
    # installs that are there are taken away, others are made; a start in the middle begins with what it does not know
    chance, installed, begun, round_ = random.Random(service.head()), set(), time.time(), 0
    yesterday = today = None
    while (head := service.head()) < target:
        print(f"{time.time() - begun:.0f} s, position {head}", flush=True)
        for _ in range(0, 100_000, size):
            batch = []
            for _ in range(size):
                pool = BUSY_POOL if chance.random() < BUSY_SHARE else chance.randrange(POOLS)
                user = chance.randrange(USERS)
                is_there = (pool, user) in installed
                (installed.discard if is_there else installed.add)((pool, user))
                kind = "uninstall" if is_there else "install"
                late = f',"occurred_at":"{yesterday}"' if yesterday and chance.randrange(1000) < LATE else ""
                place = f'"pool":"pool_{pool}","device":"device_{user}","user":"user_{user}"'
                batch.append(f'{{"type":"{kind}",{place}{late}}}\n')
            service.must("POST", TENANT + "/commands", "".join(batch), lines=True)
        round_ += 1
        yesterday, today = today, service.must("POST", "/v1/clock", {"advance_seconds": 86_400})["now"]
        move(service, chance, round_)
        if round_ % 10 == 0:
            body = {"name": f"Review {round_}", "pools": [f"pool_{round_ % POOLS}"], "undecided": "keep"}
            review = service.must("POST", TENANT + "/reviews", body)["review"]
            service.must("POST", f"{TENANT}/reviews/{review}/end", {})
    print(f"{time.time() - begun:.0f} s, position {service.head()}")


READS = {
    "a pool": "/pools/pool_{pool}?as_of={at}",
    "the pools": "/pools?as_of={at}",
    "seats of a pool": "/pools/pool_{pool}/seats?as_of={at}",
    "a seat": "/pools/pool_{pool}/seats/user_{user}?as_of={at}",
    "a user": "/users/user_{user}?as_of={at}",
    "seats of a user": "/users/user_{user}/seats?as_of={at}",
    "a device": "/devices/device_{user}?as_of={at}",
    "seats of a device": "/devices/device_{user}/seats?as_of={at}",
    "installs on a device": "/devices/device_{user}/installs?as_of={at}",
    "an assignment": "/assignments/assignment_{assignment}?as_of={at}",
    "the tenant": "?as_of={at}",
    "settings": "/settings?as_of={at}",
    "tokens": "/tokens?as_of={at}",
    "tools": "/tools?as_of={at}",
    "store accounts": "/store-accounts?as_of={at}",
    "syncs": "/syncs?as_of={at}",
    "drift": "/drift?as_of={at}",
    "held back": "/directory/held?as_of={at}",
    "reviews": "/reviews?as_of={at}",
    "seats of a review": "/reviews/review_{review}/seats?as_of={at}",
    "apps (100 of 200)": "/apps?as_of={at}",
    "an app": "/apps/app_{pool}?as_of={at}",
    "assignments (100 of 201)": "/assignments?as_of={at}",
    "groups": "/groups?as_of={at}",
    "a group": "/groups/group_{group}?as_of={at}",
    "members of a group": "/groups/group_{group}/members?as_of={at}",
    "users (100)": "/users?as_of={at}",
    "devices (100)": "/devices?as_of={at}",
    "queue of a pool": "/pools/pool_{queued}/queue?as_of={at}",
    "installs of a pool": "/pools/pool_{pool}/installs?as_of={at}",
    "refusals": "/refusals?as_of={at}",
    "license position": "/reports/license-position?as_of={at}",
    "who held a pool": "/reports/holders?pool=pool_{pool}&as_of={at}",
    "idle seats": "/reports/idle-seats?days=1&as_of={at}",
    "untargeted seats": "/reports/untargeted-seats?as_of={at}",
    "true-up": "/reports/true-up?as_of={at}",
    "peak use": "/reports/peak-use?to={at}",
    "days over the cap": "/reports/days-over-cap?to={at}",
    "sell-outs": "/reports/sell-outs?to={at}",
    "refunds": "/reports/refunds?to={at}",
    "drift (report)": "/reports/drift?as_of={at}",
    "access log": "/reports/access-log?to={at}",
    "seats of a pool, known later": "/pools/pool_{pool}/seats?as_of={at}&as_known_at={known}",
    "a seat, known later": "/pools/pool_{pool}/seats/user_{user}?as_of={at}&as_known_at={known}",
    "a user, known later": "/users/user_{user}?as_of={at}&as_known_at={known}",
    "seats of a user, known later": "/users/user_{user}/seats?as_of={at}&as_known_at={known}",
    "a device, known later": "/devices/device_{user}?as_of={at}&as_known_at={known}",
    "installs on a device, known later": "/devices/device_{user}/installs?as_of={at}&as_known_at={known}",
    "users (100), known later": "/users?as_of={at}&as_known_at={known}",
    "queue of a pool, known later": "/pools/pool_{queued}/queue?as_of={at}&as_known_at={known}",
    "installs of a pool, known later": "/pools/pool_{pool}/installs?as_of={at}&as_known_at={known}",
    "a pool, known later": "/pools/pool_{pool}?as_of={at}&as_known_at={known}",
    "the pools, known later": "/pools?as_of={at}&as_known_at={known}",
    "an app, known later": "/apps/app_{pool}?as_of={at}&as_known_at={known}",
    "license position, known later": "/reports/license-position?as_of={at}&as_known_at={known}",
    "who held a pool, known later": "/reports/holders?pool=pool_{pool}&as_of={at}&as_known_at={known}",
    "untargeted, known later": "/reports/untargeted-seats?as_of={at}&as_known_at={known}",
    "deficit plan, known later": "POST /pools/pool_{over}/deficit/plan?as_of={at}&as_known_at={known}",
    "deficit plan": "POST /pools/pool_{over}/deficit/plan?as_of={at}",
    "everything else (digest)": "/digest?as_of={at}",
}


def memory(service):
    status = pathlib.Path(f"/proc/{service.process.pid}/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) // 1024


def ask(service, each, seed, only):
    chance, head = random.Random(seed), service.head()
    print(f"head {head}; {each} reads a row, one connection, each at a position that was not asked for before")
    print(f"{'read':28} {'p50':>9} {'p99':>9} {'max':>9}  answers, items of one")
    print(f"memory of the service: {memory(service)} MB")
    for name, path in READS.items():
        if only and only not in name:
            continue
        taken, answers, items = [], {}, 0
        for _ in range(min(each, 20) if "else" in name else each // 4 if "/reports" in path else each):
            pool = BUSY_POOL if chance.random() < BUSY_SHARE else chance.randrange(POOLS)
            places = {"pool": pool, "user": chance.randrange(USERS), "assignment": chance.randrange(POOLS)}
            places |= {"group": chance.randrange(TEAMS + 1), "queued": QUEUED_POOL, "review": chance.randrange(8)}
            at = chance.randrange(head // 50, head)
            places |= {"at": at, "known": chance.randrange(at, head), "over": OVER_POOL}
            method, path_of = ("POST", path[5:]) if path.startswith("POST ") else ("GET", path)
            asked = TENANT + path_of.format(**places)
            begun = time.perf_counter()
            status, text = service.call(method, asked)
            taken.append((time.perf_counter() - begun) * 1000)
            items += len(json.loads(text).get("items", []))
            answers[status] = answers.get(status, 0) + 1
        taken.sort()
        p50, p99 = taken[len(taken) // 2], taken[min(len(taken) - 1, len(taken) * 99 // 100)]
        print(f"{name:28} {p50:9.2f} {p99:9.2f} {taken[-1]:9.2f}  {answers} {items / len(taken):.0f} items", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["load", "ask"])
    parser.add_argument("program")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--batch", type=int, default=64, help="commands of one request, so about those of one group")
    parser.add_argument("--each", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="rows whose name holds this")
    args = parser.parse_args()
    service = Service(args.program, args.folder)
    try:
        if args.what == "load":
            load(service, args.events, args.batch)
        else:
            ask(service, args.each, args.seed, args.only)
    finally:
        service.stop()


if __name__ == "__main__":
    main()
