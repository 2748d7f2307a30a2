"""Starts the service, gives it a small organization, lets schemathesis loose on it, and counts what it did."""

import collections
import datetime
import json
import os
import pathlib
import secrets
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

program, schemathesis, cases_min = sys.argv[1], sys.argv[2], int(sys.argv[3])
# never 2xx here, and why
NEVER_2XX = {
    "hear": "only a linked store has the secret for it",
    "start_sync": "a sync is run by a store's connector; a declared inventory has none, and no store is linked here with credentials",
}
# whoever ends this ends the service and the tool with it
signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))
token = secrets.token_hex(24)
folder = tempfile.TemporaryDirectory(prefix="seatledger-contract-")
root = pathlib.Path(folder.name)
service = subprocess.Popen(
    [program, "serve", "--data", str(root / "ledger"), "--listen", "127.0.0.1:0", "--clock", "manual", "--log", "warn"],
    env={**os.environ, "SEATLEDGER_ROOT_TOKEN": token, "SEATLEDGER_STRANGER_REQUESTS_PER_SECOND": "0"},
    stdout=subprocess.PIPE, stderr=open(root / "service.log", "w"), text=True,
)


def call(method, path, body=None, url=None, expected=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(url + path, data=data, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code == expected:
            return json.load(error)
        sys.exit(f"{method} {path}: {error.code} {error.read().decode()}")


def found(url):
    """What the examples of the contract name."""
    tenant = lambda path: "/v1/tenants/contoso" + path
    ask = lambda method, path, body=None: call(method, tenant(path), body, url)
    ask("PUT", "", {"name": "Contoso"})
    # the refusal at position 1
    call("POST", tenant("/syncs"), {"provider": "declared"}, url, expected=409)
    item = lambda sku, owned, **more: {"sku": sku, "license_type": "online", "name": sku.title(), "publisher": "Contoso", "owned": owned,
        "distribution_policy": "restricted", "price": {"currency": "EUR", "minor_units": 4900}, "encrypted": False, "related_set": None, **more}
    items = [item("editor", 100000), item("viewer", 500, license_type="offline"), item("crowd", 60), item("shrinking", 5), item("short", 1), item("steady", 9)]
    ask("POST", "/inventory", {"complete": True, "items": items})
    people = ["ada", "bob", "carl", "dora"] + [f"u{n}" for n in range(60)]
    for name in people:
        user = f"{name}@contoso.example"
        ask("PUT", f"/users/{user}", {"user_name": user})
    for serial in ["D1", "D2", "D3"]:
        ask("PUT", f"/devices/{serial}", {"platform": "windows", "join": "entra", "enrolled": True, "os_build": 22631, "serial": serial,
            "primary_user": "ada@contoso.example"})
    ask("PUT", "/groups/office", {"kind": "users", "members": ["ada@contoso.example", "bob@contoso.example"]})
    ask("PUT", "/groups/leavers", {"kind": "users", "members": []})
    ask("PUT", "/groups/crowd", {"kind": "users", "members": [f"u{n}@contoso.example" for n in range(60)]})
    assign = lambda pool, target, **more: ask("POST", "/assignments", {"pool": f"declared:{pool}", "target": target, "intent": "required", **more})
    assign("editor", {"group": "office"})
    assign("viewer", {"user": "dora@contoso.example"})
    assign("crowd", {"group": "crowd"})
    assign("short", {"group": "office"}, mode="fill")
    assign("steady", {"user": "u7@contoso.example"})
    ask("POST", "/installs", {"pool": "declared:editor", "device": "D1", "user": "ada@contoso.example"})
    ask("POST", "/pools/declared:short/seats/user:ada@contoso.example/reclaim", {})
    # the brake holds what a careless directory would end: held_0
    ask("PUT", "/groups/crowd", {"kind": "users", "members": []})
    # and what a careless inventory would end: sync_1 waits
    ask("POST", "/inventory", {"complete": True, "items": items[:2] + items[3:]})
    for role in ["auditor", "operator"]:
        ask("POST", "/tokens", {"name": role, "role": role})
    ask("POST", "/users/carl@contoso.example/departure", {"cause": "deactivated"})
    ask("PUT", "/tools/intune", {"name": "Intune"})
    ask("PUT", "/tools/old-tool", {"name": "Old"})
    # review_0 to be decided on, review_1 to be ended, review_2 to be cancelled
    for name in ["decided", "ended", "cancelled"]:
        ask("POST", "/reviews", {"name": name, "pools": ["declared:steady"], "undecided": "keep"})
    ask("PUT", "/store-accounts/microsoft-store", {"account_id": "contoso-msfb"})


def cloud_events(url):
    """Every line of an export, read and written again by the CloudEvents project's own library, which refuses what is none."""
    try:
        from cloudevents.core.formats.json import JSONFormat
        from cloudevents.core.exceptions import CloudEventValidationError
    except ImportError:
        print("the library cloudevents is not here: exports are not held against it")
        return
    request = urllib.request.Request(url + "/v1/tenants/contoso/export/events", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request) as answer:
        lines = answer.read().decode().splitlines()
    moment = lambda text: datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    for line in lines:
        said, again = json.loads(line), json.loads(JSONFormat().write(JSONFormat().read(None, line)))
        said["time"], again["time"] = moment(said["time"]), moment(again["time"])
        if said != again:
            sys.exit(f"the library cloudevents reads another event: {line}\n{again}")
    # it does refuse what is none
    for name, value in [("Actor", "root"), ("source", ""), ("id", None), ("specversion", "0.9"), ("time", "yesterday")]:
        try:
            JSONFormat().read(None, json.dumps(json.loads(lines[0]) | {name: value}))
        except (CloudEventValidationError, ValueError):
            continue
        sys.exit(f"the library cloudevents takes an event whose {name} is {value!r}")
    print(f"{len(lines)} events of an export are CloudEvents 1.0 to the library of that project")


def main():
    line = service.stdout.readline().strip()
    if not line.startswith("listening on "):
        sys.exit(f"the service did not come up: {line}\n{(root / 'service.log').read_text()}")
    url = line.removeprefix("listening on ")
    found(url)
    cloud_events(url)
    document = json.load(urllib.request.urlopen(url + "/openapi.json"))
    operations = {}
    for path, calls in document["paths"].items():
        for method, one in calls.items():
            operations[(method.upper(), path)] = one["operationId"]
    report = root / "report"
    # one worker: two threads that parse at once trip over each other inside CPython 3.11 ("AST constructor recursion depth
    # mismatch"), and the interpreter's lock leaves nothing to win
    each = max(20, -(-cases_min // len(operations)))
    asked = subprocess.run([
        schemathesis, "--config-file", "ops/contract/schemathesis.toml", "run", url + "/openapi.json", "--url", url, "-H", f"Authorization: Bearer {token}", "--phases", "examples,coverage,fuzzing",
        "--max-examples", str(each), "--seed", "1", "--report", "ndjson", "--report-dir", str(report), "--workers", "1",
        "--suppress-health-check", "all", "--continue-on-failure", "--request-timeout", "20",
        "--exclude-path-regex", "^/v1/tenants/\\{tenant\\}/(events/stream|store-accounts/\\{provider\\}/notifications)$", "--no-color",
    ], stdout=open(root / "schemathesis.log", "w"), stderr=subprocess.STDOUT, check=False, cwd=os.getcwd())
    cases, good = 0, collections.Counter()
    for file in report.glob("*.ndjson"):
        for text in file.open():
            cases += count(json.loads(text), operations, good)
    said = (root / "schemathesis.log").read_text()
    bad = [name for name in operations.values() if not good[name] and name not in NEVER_2XX and name != "stream_events"]
    print(said[-6000:] if asked.returncode else said[-1200:])
    print(f"{cases} requests to {len(operations)} operations; without a 2xx: {', '.join(bad) or 'none'}")
    for name, why in NEVER_2XX.items():
        print(f"never 2xx: {name}: {why}")
    service.terminate()
    ended = service.wait(60)
    log = (root / "service.log").read_text()
    if ended or "panicked" in log:
        print(log[-4000:])
    is_good = asked.returncode == 0 and cases >= cases_min and not bad and ended == 0 and "panicked" not in log
    keep = os.environ.get("SEATLEDGER_CONTRACT_LOG")
    if keep:
        pathlib.Path(keep).write_text(said)
    sys.exit(0 if is_good else 1)


def count(event, operations, good):
    """Requests in one event of the report; their 2xx answers are counted by operation."""
    scenario = event.get("ScenarioFinished")
    if not scenario:
        return 0
    recorder = scenario.get("recorder") or {}
    cases = {key: value.get("value", value) for key, value in (recorder.get("cases") or {}).items()}
    interactions = recorder.get("interactions") or {}
    for key, interaction in interactions.items():
        answer = interaction.get("response") or {}
        case = cases.get(key) or {}
        name = operations.get((str(case.get("method", "")).upper(), case.get("path") or case.get("path_template") or ""))
        if name and 200 <= (answer.get("status_code") or 0) < 300:
            good[name] += 1
    return len(interactions)


try:
    main()
finally:
    service.kill()
