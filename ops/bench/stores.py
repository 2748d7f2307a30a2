#!/usr/bin/env python3
"""How long a sync of a large store takes, and how fast reservations are confirmed: standard library only.

    ops/bench/stores.py PROGRAM FOLDER [--pools 500] [--seats 200000] [--grants 4000] [--latency-ms 50]

Both sides are the program: `store-simulator microsoft` and `serve`, over HTTP. First a store with so many pools, each with seats
that another tool gave, is read for the first time (every holder is new, every seat foreign) and once more (nothing is new).
Then, with the latency on every call of the store, so many reservations are made and confirmed in bulk of 25.
"""

import argparse
import pathlib
import time

from service import Process, Service


def product(number):
    name = f"9P{number:010}"
    package = {"package_id": name, "content_id": name, "full_name": name, "identity_name": name}
    named = {"language": "en-US", "display_name": f"App {number}", "description": "", "publisher_name": "Contoso"}
    return name, {"product_id": name, "product_type": "Application", "publisher_id": "CN=Contoso", "category": "x",
        "package_family_name": name, "names": [named], "skus": [{"sku_id": "0016", "packages": [package]}]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--pools", type=int, default=500)
    parser.add_argument("--seats", type=int, default=200_000)
    parser.add_argument("--grants", type=int, default=4000)
    parser.add_argument("--latency-ms", type=int, default=50)
    asked = parser.parse_args()
    each = asked.seats // asked.pools
    people = [f"u{n}@contoso.example" for n in range(max(each, asked.grants // 8))]

    def start_store(latency):
        store = Process([asked.program, "store-simulator", "microsoft", "--listen", "127.0.0.1:0", "--latency-ms", str(latency)])
        for at in range(0, len(people), 10_000):
            store.must("POST", "/simulator/users", {"users": people[at:at + 10_000], "lag_seconds": 0})
        return store

    def sell(store, number, quantity):
        name, whole = product(number)
        store.must("POST", "/simulator/products", whole)
        store.must("POST", "/simulator/purchases", {"product_id": name, "sku_id": "0016", "license_type": "online",
            "quantity": quantity, "is_paid": True, "distribution_policy": "restricted"})
        return name

    def serve(store, tenant):
        environment = {"SEATLEDGER_STORE_URLS": f'["http://{store.host}"]', "SEATLEDGER_STORE_SYNC_SECONDS": "0"}
        service = Service(asked.program, asked.folder / tenant, environment=environment)
        service.must("PUT", f"/v1/tenants/{tenant}", {"name": tenant})
        url = f"http://{store.host}"
        service.must("PUT", f"/v1/tenants/{tenant}/store-accounts/microsoft-store", {"account_id": "contoso.example", "settings":
            {"client_id": "seatledger", "base_url": url, "authority_url": url},
            "credentials": {"client_secret": "the-simulated-secret-of-seatledger"}})
        return service

    def sync(service, tenant):
        began = time.monotonic()
        begun = service.must("POST", f"/v1/tenants/{tenant}/syncs", {"provider": "microsoft-store", "full": True})
        while (seen := service.must("GET", f"/v1/tenants/{tenant}/syncs/{begun['sync']}"))["state"] == "running":
            time.sleep(0.05)
        if seen["state"] != "completed":
            raise SystemExit(seen["failure"])
        return time.monotonic() - began, seen

    store = start_store(0)
    for number in range(asked.pools):
        name = sell(store, number, each)
        for person in people[:each]:
            store.must("POST", "/simulator/seats/assign", {"tool": "intune", "product_id": name, "sku_id": "0016", "upn": person})
    service = serve(store, "large")
    for words in ("first sync", "second sync"):
        seconds, seen = sync(service, "large")
        print(f"{words}: {asked.pools} pools, {seen['seats']['seen']} seats, {seen['seats']['foreign']} foreign, "
            f"{seconds:.1f} s, {service.mib()} MiB", flush=True)
    service.stop()
    store.stop()

    store = start_store(asked.latency_ms)
    names = [sell(store, number, asked.grants) for number in range(8)]
    service = serve(store, "grants")
    sync(service, "grants")
    members = people[:asked.grants // 8]
    for at in range(0, len(members), 500):
        commands = [{"id": f"p{n}", "type": "put_user", "user": n, "user_name": n} for n in members[at:at + 500]]
        service.must("POST", "/v1/tenants/grants/commands", commands)
    service.must("PUT", "/v1/tenants/grants/groups/all", {"kind": "users", "members": members})
    began = time.monotonic()
    for name in names:
        service.must("POST", "/v1/tenants/grants/assignments",
            {"pool": f"{name}:0016:online", "target": {"group": "all"}, "intent": "required"})
    made = time.monotonic() - began
    total = len(names) * len(members)
    confirmed = 0
    while confirmed < total:
        time.sleep(0.1)
        seats = store.must("GET", "/simulator/seats")["seats"]
        confirmed = len(seats)
    seconds = time.monotonic() - began
    print(f"confirmations: {total} seats of {len(names)} pools with {asked.latency_ms} ms a call: reserved after {made:.1f} s, "
        f"at the store after {seconds:.1f} s, {total / seconds:.0f}/s", flush=True)
    service.stop()
    store.stop()


if __name__ == "__main__":
    main()
