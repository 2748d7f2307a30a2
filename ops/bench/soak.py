#!/usr/bin/env python3
"""An hour of mixed load, single calls and some in bulk, with all that runs beside it: snapshots, checkpoints, heads, scrubs, a backup
every few minutes and a `verify` of each backup. What grows, and what stalls, is to be seen in a picture.

    ops/bench/soak.py PROGRAM FOLDER [--minutes 60] [--rate 1500] [--backup-minutes 5] [--svg FILE] [--json FILE]

Every ten seconds: requests and refusals, p50 and p99 and the slowest of commands and of reads as their callers saw them, the
service's resident memory and processor time, and what its folders hold. At the end the service is stopped, its folder verified
and replayed: the replay's digest must be the service's own. Standard library only.
"""

import argparse
import asyncio
import json
import os
import pathlib
import random
import shutil
import subprocess
import time

from service import TOKEN, Caller, Service, item, people

TENANT, PEOPLE, POOLS, TEAMS, CONNECTIONS, EVERY = "/v1/tenants/soak", 20_000, 200, 50, 32, 10
# so many lines in one call, so often: groups large enough that another thread makes them durable
BULK_LINES, BULK_SECONDS = 1_000, 3
KINDS = ["journal", "sled", "snapshots", "archive", "subjects", "receipts", "tiles", "heads"]


def found(service):
    service.must("PUT", TENANT, {"name": "Soak"})
    # some sell out, most do not
    items = [item(f"app{n}", 400 if n % 10 == 0 else 100_000) for n in range(POOLS)]
    service.must("POST", TENANT + "/inventory", {"complete": True, "items": items})
    service.bulk(TENANT, people(PEOPLE))
    fixed = {"type": "put_device", "platform": "windows", "join": "entra", "enrolled": True, "os_build": 22631}
    service.bulk(TENANT, [{"device": f"d{n}", "serial": f"d{n}", "primary_user": f"u{n}", **fixed} for n in range(PEOPLE)])
    for team in range(TEAMS):
        members = [f"u{n}" for n in range(team, PEOPLE, TEAMS)]
        service.must("PUT", f"{TENANT}/groups/team{team}", {"kind": "users", "members": members})
        target = {"pool": f"declared:app{team + 100}", "target": {"group": f"team{team}"}, "intent": "available"}
        service.must("POST", TENANT + "/assignments", target)


class Load:
    """Who asks for what. A refusal by a rule is an answer as any other."""

    def __init__(self, chance, head):
        self.chance, self.assignments, self.first, self.head = chance, [], head, head

    def next(self):
        """A name, and a call."""
        chance = self.chance
        user, pool, dice = chance.randrange(PEOPLE), chance.randrange(POOLS), chance.random()
        if dice < 0.30:
            body = {"pool": f"declared:app{pool}", "target": {"user": f"u{user}"}, "intent": "required", "mode": "fill"}
            return "command", "POST", "/assignments", body
        if dice < 0.52 and self.assignments:
            at = chance.randrange(len(self.assignments))
            self.assignments[at], last = self.assignments[-1], self.assignments[at]
            self.assignments.pop()
            return "command", "DELETE", f"/assignments/{last}", None
        if dice < 0.70:
            # people of the team that has the app
            pool = 100 + chance.randrange(TEAMS)
            user = chance.randrange(PEOPLE // TEAMS) * TEAMS + pool - 100
            kind = chance.choice(["installs", "installs", "uninstalls"])
            body = {"pool": f"declared:app{pool}", "device": f"d{user}", "user": f"u{user}"}
            return "command", "POST", "/" + kind, body
        if dice < 0.71:
            return "command", "POST", f"/users/u{user}/departure", {"cause": "deactivated"}
        if dice < 0.73:
            return "command", "POST", f"/users/u{user}/return", {}
        if dice < 0.85:
            return "read", "GET", f"/pools/declared:app{pool}", None
        if dice < 0.92:
            return "read", "GET", f"/users/u{user}/seats", None
        if dice < 0.95:
            return "read", "GET", f"/events?from={chance.randrange(self.first, self.head + 1)}&limit=50", None
        if dice < 0.98:
            return "read", "GET", f"/pools/declared:app{pool}?as_of={chance.randrange(self.first, self.head + 1)}", None
        return "read", "GET", f"/pools/declared:app{pool}/seats?limit=100", None


class Soak:
    def __init__(self, service, asked):
        self.service, self.asked = service, asked
        head = service.must("GET", TENANT + "/settings")["position"]
        self.load, self.took, self.rows, self.wrong = Load(random.Random(asked.seed), head), {}, [], []
        self.counts = {"done": 0, "refused": 0, "late": 0}
        self.end = time.monotonic() + asked.minutes * 60
        self.backups, self.slots = [], 0

    async def caller(self, begun):
        """Each takes the next turn of the common clock, so that a slow answer makes the others work, not wait."""
        caller = await Caller.to(self.service.host)
        while True:
            due = begun + self.slots / self.asked.rate
            self.slots += 1
            if due >= self.end:
                return
            wait = due - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            elif wait < -1:
                self.counts["late"] += 1
            name, method, path, body = self.load.next()
            sent = time.monotonic()
            status, text = await caller.call(method, TENANT + path, "" if body is None else json.dumps(body))
            self.took.setdefault(name, []).append(time.monotonic() - sent)
            # who departed in between has no assignment left to take away
            is_gone = method == "DELETE" and b"assignment-not-found" in text
            if status >= 500 or status in (401, 403, 404, 429) and not is_gone:
                self.wrong.append((status, method, path, text[:200].decode()))
            self.counts["done" if status < 300 else "refused"] += 1
            if name == "command" and status < 300:
                answer = json.loads(text)
                self.load.head = max(self.load.head, answer.get("position", 0))
                if path == "/assignments" and answer.get("assignment"):
                    self.load.assignments.append(answer["assignment"])

    async def bulk(self):
        """A script that assigns by the thousand and takes back what it assigned, beside all others."""
        caller, chance, assigned = await Caller.to(self.service.host), random.Random(self.asked.seed + 1), []
        while time.monotonic() + BULK_SECONDS < self.end:
            await asyncio.sleep(BULK_SECONDS)
            lines = [{"type": "unassign", "assignment": assignment} for assignment in assigned]
            if not lines:
                pairs = [(chance.randrange(POOLS), chance.randrange(PEOPLE)) for _ in range(BULK_LINES)]
                fixed = {"type": "assign", "intent": "required", "mode": "fill"}
                lines = [{"pool": f"declared:app{pool}", "target": {"user": f"u{user}"}, **fixed} for pool, user in pairs]
            text = "".join(json.dumps(line) + "\n" for line in lines)
            sent = time.monotonic()
            status, text = await caller.call("POST", TENANT + "/commands", text, "application/x-ndjson")
            self.took.setdefault("bulk", []).append(time.monotonic() - sent)
            answers = [json.loads(line) for line in text.splitlines()] if status == 200 else []
            words = [answer.get("status") for answer in answers]
            # each line is answered by itself
            if len(words) != len(lines) or not set(words) <= {"done", "unchanged", "refused"}:
                self.wrong.append((status, "POST", "/commands", text[:200].decode()))
            self.counts["done"] += words.count("done")
            self.counts["refused"] += len(words) - words.count("done")
            assigned = [] if assigned else [answer["assignment"] for answer in answers if answer["status"] == "done"]

    def folders(self):
        sizes = {}
        for kind in KINDS:
            files = (self.service.data / kind).rglob("*")
            sizes[kind] = 0
            for file in files:
                try:
                    sizes[kind] += file.stat().st_blocks * 512 if file.is_file() else 0
                except FileNotFoundError:
                    pass  # a file that was taken away meanwhile takes no room
        return {kind: round(size / 2**20, 1) for kind, size in sizes.items()}

    async def samples(self, begun):
        cpu = self.service.cpu()
        while time.monotonic() < self.end:
            await asyncio.sleep(EVERY)
            took, self.took = self.took, {}
            counts, self.counts = self.counts, {"done": 0, "refused": 0, "late": 0}
            row = {"seconds": round(time.monotonic() - begun), **counts, "position": self.load.head}
            for name, times in sorted(took.items()):
                times = sorted(times)
                row[name] = {
                    "p50_ms": round(times[len(times) // 2] * 1e3, 2),
                    "p99_ms": round(times[len(times) * 99 // 100] * 1e3, 2),
                    "max_ms": round(times[-1] * 1e3, 2),
                }
            now = self.service.cpu()
            row |= {"cores": round((now - cpu) / EVERY, 3), "resident_mib": self.service.mib()["VmRSS"]}
            row["folders_mib"], cpu = await asyncio.to_thread(self.folders), now
            self.rows.append(row)
            print(json.dumps(row), flush=True)

    async def backed_up(self):
        file = self.asked.folder / "backup.tar"
        while time.monotonic() + 30 < self.end:
            await asyncio.sleep(min(self.asked.backup_minutes * 60, max(1.0, self.end - time.monotonic() - 30)))
            begun = time.monotonic()
            await self.ours("backup", "--data", self.service.data, "--to", file, "--force")
            self.backups.append(round(time.monotonic() - begun, 1))

    async def ours(self, *words):
        asked = await asyncio.create_subprocess_exec(
            self.asked.program,
            *map(str, words),
            env={**os.environ, "SEATLEDGER_ROOT_TOKEN": TOKEN},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, err = await asked.communicate()
        if asked.returncode != 0:
            raise SystemExit(f"{' '.join(map(str, words))}: {err.decode()[-500:]}")
        return out.decode()

    async def run(self):
        begun = time.monotonic()
        callers = [self.caller(begun) for _ in range(CONNECTIONS)]
        await asyncio.gather(self.samples(begun), self.backed_up(), self.bulk(), *callers)


def picture(rows, backups):
    """Lines over the minutes: what grows, and what is slow."""
    width, height, left = 900, 170, 60
    minutes = [row["seconds"] / 60 for row in rows]
    panels = [
        ("resident memory, MiB", {"resident": [row["resident_mib"] for row in rows]}),
        ("files, MiB", {kind: [row["folders_mib"][kind] for row in rows] for kind in KINDS}),
        ("commands, ms", {word[:-3]: [row["command"][word] for row in rows] for word in ("p50_ms", "p99_ms", "max_ms")}),
        ("1,000 in bulk, ms", {word[:-3]: [row.get("bulk", {}).get(word, 0) for row in rows] for word in ("p50_ms", "max_ms")}),
        ("reads, ms", {word[:-3]: [row["read"][word] for row in rows] for word in ("p50_ms", "p99_ms", "max_ms")}),
        ("answers a second", {"all": [(row["done"] + row["refused"]) / EVERY for row in rows]}),
        ("cores taken", {"service": [row["cores"] for row in rows]}),
    ]
    colours = ["#1b6ca8", "#c8553d", "#588157", "#7d5ba6", "#b08900", "#2a9d8f", "#6c757d"]
    total = len(panels) * (height + 50) + 30
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width + left + 130}" height="{total}" font-family="sans-serif" font-size="11">']
    out.append(f'<rect width="100%" height="100%" fill="white"/><text x="{left}" y="18" font-size="13">{len(backups)} backups beside</text>')
    for at, (title, lines) in enumerate(panels):
        top = 30 + at * (height + 50)
        most = max((max(values, default=0) for values in lines.values()), default=0) or 1
        out.append(f'<text x="{left}" y="{top + 8}">{title}</text>')
        out.append(f'<rect x="{left}" y="{top + 14}" width="{width}" height="{height}" fill="none" stroke="#bbb"/>')
        for part in (0, 0.5, 1):
            y = top + 14 + height * (1 - part)
            out.append(f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{most * part:.4g}</text>')
        for part in range(5):
            minute = minutes[-1] * part / 4
            out.append(f'<text x="{left + width * part / 4}" y="{top + height + 28}" text-anchor="middle">{minute:.0f} min</text>')
        for number, (name, values) in enumerate(lines.items()):
            points = " ".join(
                f"{left + width * minute / minutes[-1]:.1f},{top + 14 + height * (1 - value / most):.1f}"
                for minute, value in zip(minutes, values)
            )
            colour = colours[number % len(colours)]
            out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.2"/>')
            out.append(f'<text x="{left + width + 8}" y="{top + 26 + number * 14}" fill="{colour}">{name}</text>')
    return "\n".join([*out, "</svg>\n"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("folder", type=pathlib.Path, help="is made anew")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=float, default=1500, help="requests a second")
    parser.add_argument("--backup-minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--svg", type=pathlib.Path)
    parser.add_argument("--json", type=pathlib.Path)
    asked = parser.parse_args()
    shutil.rmtree(asked.folder, ignore_errors=True)
    # often, so that some fall into the load
    os.environ.setdefault("SEATLEDGER_SCRUB_SECONDS", "300")
    service = Service(asked.program, asked.folder)
    found(service)
    soak = Soak(service, asked)
    asyncio.run(soak.run())
    told = service.must("GET", TENANT + "/digest")
    figures = dict(line.split() for line in service.call("GET", "/metrics")[1].decode().splitlines() if line.count(" ") == 1)
    before = service.mib()
    service.stop()
    judged = {"backups_s": soak.backups, "peak_mib": before["VmHWM"], "wrong": soak.wrong[:20], "wrong_count": len(soak.wrong)}
    judged["scrubs"], judged["scrub_damages"] = (int(figures["seatledger_" + name]) for name in ("scrubs", "scrub_damages"))
    verified = subprocess.run([asked.program, "verify", "--data", service.data], capture_output=True, text=True)
    judged["verify"] = "whole" if verified.returncode == 0 else verified.stdout + verified.stderr
    # up to where the digest speaks of: how often something was refused is written down later, if need be by the stop
    replay = [asked.program, "replay", "--json", "--data", service.data, "--to", str(told["position"])]
    replayed = subprocess.run(replay, capture_output=True, text=True, check=True)
    judged["is_replay_the_same"] = json.loads(replayed.stdout)["tenants"][0]["digest"] == told["digest"]
    print(json.dumps(judged))
    if asked.svg:
        asked.svg.write_text(picture(soak.rows, soak.backups))
    if asked.json:
        asked.json.write_text(json.dumps({"rows": soak.rows, "judged": judged}) + "\n")
    if soak.wrong or judged["scrub_damages"] or judged["verify"] != "whole" or not judged["is_replay_the_same"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
