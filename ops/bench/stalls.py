#!/usr/bin/env python3
"""For how long one call holds up everybody: how long another tenant's single commands wait at most while it is answered.

    ops/bench/stalls.py PROGRAM FOLDER [--cases refusals,hold,...]

Each case is made at a size and at ten times that. Beside the call, whoever puts one person after the other into another tenant
waits for as long as the last column says; before it, as long as the one before that. Standard library only.
"""

import argparse
import http.client
import json
import pathlib
import shutil
import threading
import time

from service import TOKEN, Service, item, people

TENANT, OTHER = "/v1/tenants/stalls", "/v1/tenants/other"
DAY = 86_400


class Beside:
    """Somebody else's commands, one after the other."""

    def __init__(self, service):
        service.must("PUT", OTHER, {"name": "Other"})
        self.host, self.waits, self.is_over = service.host, [], False
        self.thread = threading.Thread(target=self.ask)
        self.thread.start()

    def ask(self):
        connection = http.client.HTTPConnection(self.host, timeout=600)
        headers = {"Authorization": "Bearer " + TOKEN, "Content-Type": "application/json"}
        for number in range(10**9):
            if self.is_over:
                return
            body = json.dumps({"user_name": f"p{number % 50}", "display_name": str(number)})
            began = time.monotonic()
            connection.request("PUT", f"{OTHER}/users/p{number % 50}", body, headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status >= 300:
                raise SystemExit(f"somebody else's command: {answer.status}")
            self.waits.append((began, time.monotonic()))
            time.sleep(0.002)

    def longest(self, since):
        return max((end - began for began, end in self.waits if end >= since), default=0) * 1000

    def end(self):
        self.is_over = True
        self.thread.join()


def group(service, name, count, kind="users", letter="u"):
    service.must("PUT", f"{TENANT}/groups/{name}", {"kind": kind, "members": [f"{letter}{n}" for n in range(count)]})


def apps(service, count, owned):
    items = [item(f"app{n}", owned) for n in range(count)]
    service.must("POST", TENANT + "/inventory", {"complete": False, "items": items})


def policy(service, app, **fields):
    service.must("PATCH", f"{TENANT}/pools/declared:app{app}/policy", fields)


def assign(service, app, target, **fields):
    body = {"pool": f"declared:app{app}", "target": target, "intent": "required", **fields}
    service.must("POST", TENANT + "/assignments", body)


def no_brake(service, **fields):
    service.must("PATCH", TENANT + "/settings", {"brake": {"share": 100, "at_least": 10}, **fields})


def refusals(service, seats):
    """200 refusals for lack of seats, in turn with assignments of another app."""
    apps(service, 2, seats)
    policy(service, 0, untargeted="release")
    service.bulk(TENANT, people(seats + 200))
    group(service, "all", seats)
    assign(service, 0, {"group": "all"})
    of_app = lambda app, n: {"type": "assign", "pool": f"declared:app{app}", "target": {"user": f"u{n}"}, "intent": "required"}
    lines = [of_app(app, seats + n) for n in range(200) for app in (1, 0)]
    return lambda: service.bulk(TENANT, lines)


def hold(service, members):
    """400 people are put, beside a hold of the directory that was put right."""
    apps(service, 1, members)
    policy(service, 0, untargeted="release")
    service.bulk(TENANT, people(members))
    group(service, "all", members)
    assign(service, 0, {"group": "all"})
    group(service, "all", 0)
    group(service, "all", members)
    return lambda: service.bulk(TENANT, [{**person, "display_name": "x"} for person in people(400)])


def devices_of_one(service, count):
    apps(service, 20, "unlimited")
    service.bulk(TENANT, people(20))
    service.bulk(TENANT, [device(n) for n in range(count)])
    group(service, "all", count, "devices", "d")
    for app in range(20):
        assign(service, app, {"group": "all"}, intent="available")
        for user in range(1, 11):
            assign(service, app, {"user": f"u{user}"}, intent="available")


def device(number, build=22631):
    facts = {"platform": "windows", "join": "entra", "enrolled": True, "os_build": build, "primary_user": "u0"}
    return {"type": "put_device", "device": f"d{number}", "serial": f"d{number}", **facts}


def builds(service, count):
    """50 devices of a person with many have another build."""
    devices_of_one(service, count)
    return lambda: service.bulk(TENANT, [device(n, 22632) for n in range(50)])


def retirements(service, count):
    """All devices of a person are retired."""
    devices_of_one(service, count)
    return lambda: service.bulk(TENANT, [{"type": "retire_device", "device": f"d{n}"} for n in range(count)])


def departures(service, count):
    """People with 25 seats each leave, and as many wait for them."""
    no_brake(service)
    apps(service, 25, count)
    service.bulk(TENANT, people(2 * count))
    group(service, "all", 2 * count)
    for app in range(25):
        assign(service, app, {"group": "all"}, mode="fill")
    lines = [{"type": "depart", "user": f"u{n}", "cause": "deactivated"} for n in range(count)]
    return lambda: service.bulk(TENANT, lines)


def queue(service, waiting):
    """2,000 installs of those who wait last are refused."""
    apps(service, 1, 10)
    service.bulk(TENANT, people(waiting))
    service.bulk(TENANT, [{**device(0), "primary_user": None}])
    group(service, "all", waiting)
    assign(service, 0, {"group": "all"}, mode="fill")
    install = lambda n: {"type": "install", "pool": "declared:app0", "device": "d0", "user": f"u{waiting - 1 - n}"}
    return lambda: service.bulk(TENANT, [install(n) for n in range(2000)])


def timers(service, count):
    """Reservations of ten pools time out together."""
    apps(service, 10, count)
    service.bulk(TENANT, people(count))
    group(service, "all", count)
    for app in range(10):
        policy(service, app, reservation_timeout_days=1)
        assign(service, app, {"group": "all"})
    return lambda: service.must("POST", "/v1/clock", {"advance_seconds": 2 * DAY})


def atomic(service, count):
    """15 atomic batches of one command, with as many devices as people."""
    service.bulk(TENANT, people(count))
    service.bulk(TENANT, [{**device(n), "primary_user": None} for n in range(count)])

    def act():
        for n in range(15):
            line = json.dumps({**people(1)[0], "display_name": str(n)}) + "\n"
            service.must("POST", TENANT + "/commands?atomic=true", line, lines=True)

    return act


def members(service, count):
    """One more joins a group."""
    service.bulk(TENANT, people(count + 1))
    group(service, "all", count)
    return lambda: group(service, "all", count + 1)


CASES = {
    refusals: 10_000,
    hold: 2_000,
    builds: 500,
    retirements: 100,
    departures: 200,
    queue: 5_000,
    timers: 1_000,
    atomic: 20_000,
    members: 10_000,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--cases", default=",".join(case.__name__ for case in CASES))
    asked = parser.parse_args()
    print("| what | size | answered after ms | others wait at most ms, before | meanwhile |\n|---|---|---|---|---|")
    for case, size in CASES.items():
        for size in (size, 10 * size) if case.__name__ in asked.cases.split(",") else ():
            shutil.rmtree(asked.folder, ignore_errors=True)
            service = Service(asked.program, asked.folder, "--clock", "manual")
            beside = None
            try:
                service.must("PUT", TENANT, {"name": "Stalls"})
                act = case(service, size)
                beside = Beside(service)
                time.sleep(2)
                before, began = beside.longest(0), time.monotonic()
                act()
                took = time.monotonic() - began
                time.sleep(0.3)
                longest = beside.longest(began)
            finally:
                if beside:
                    beside.end()
                service.stop()
            print(f"| {case.__doc__} | {size:,} | {took * 1000:.0f} | {before:.0f} | {longest:.0f} |", flush=True)


if __name__ == "__main__":
    main()
