#!/usr/bin/env python3
"""Instructions that a command costs the service, by thread, under valgrind's callgrind: figures that a busy machine does not
move. Standard library and valgrind only.

    ops/bench/count.py count PROGRAM FOLDER [--singles 8000] [--lines 32000]
    ops/bench/count.py noop PROGRAM FOLDER [--singles 8000]
    ops/bench/count.py show FOLDER [TOP]

`count` makes FOLDER anew: a service with 200 apps and 1,000 people who have 25 assignments each, then single assignments on
64 connections, then assignments in bulk on 8, then as many reads of a pool on 16 as there were single assignments. `noop`
sends the same single assignments to the handler of `bench` that does nothing. `show` prints what each took a command, and of
each thread the functions that took most themselves. SHA-256 is counted as software does it: valgrind knows no instructions for it.
"""

import argparse
import asyncio
import collections
import json
import os
import pathlib
import re
import shutil
import subprocess

TENANT = "/v1/tenants/bench"
USERS, POOLS, BEFORE, BATCH = 1_000, 200, 26_000, 2_000
# a thread is known by what it alone runs, the first that fits
THREADS = [
    ("writer", r"log::writer::Writer<"),
    ("commit", r"log::writer::commit::Committer<"),
    ("feeder of sled", r"log::feeder::Work|log::trees::Trees::grow"),
    ("snapshots and indexes", r"log::writer::caches::Flush::run|log::snapshot::write"),
    ("log lines", r"telemetry::lines::Gathered<\w+>::write_on|telemetry::lines::Gathered<>::flush"),
    ("answers HTTP", r"hyper::proto|tokio::runtime"),
    ("sled", r"sled::"),
]


def assign(at):
    return {
        "pool": f"declared:app{(at // USERS + at) % POOLS}",
        "target": {"user": f"u{at % USERS}"},
        "intent": "required",
    }


class Counted:
    """A process under callgrind that listens; nothing is counted yet."""

    def __init__(self, program, folder, *args):
        command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--separate-threads=yes"]
        command += ["--compress-strings=no", "--compress-pos=no", f"--callgrind-out-file={folder}/out"]
        command += [program, *args]
        env = {name: value for name, value in os.environ.items() if not name.startswith("SEATLEDGER_")}
        log = (folder / "service.log").open("w")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=env)
        lines = (re.match(r"listening on http://127.0.0.1:(\d+)", line) for line in self.process.stdout)
        self.port = next(int(found.group(1)) for found in lines if found)
        self.token = "0" * 64

    def control(self, *what):
        command = ["callgrind_control", *what, str(self.process.pid)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    async def connect(self):
        return await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 24)

    async def ask(self, connection, method, path, body, kind="application/json"):
        reader, writer = connection
        body = body.encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.token}\r\n"
        head += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        head = await reader.readuntil(b"\r\n\r\n")
        answer = await reader.readexactly(int(re.search(rb"content-length: (\d+)", head, re.I).group(1)))
        assert head[9:10] == b"2", answer
        return answer

    async def many(self, connections, calls, send):
        calls = iter(calls)

        async def one():
            connection = await self.connect()
            for call in calls:
                await send(connection, call)
            connection[1].close()

        await asyncio.gather(*(one() for _ in range(connections)))


class Noop(Counted):
    def __init__(self, program, folder):
        super().__init__(program, folder, "bench", "--noop-server")

    async def run(self, singles, lines):
        async def single(connection, at):
            await self.ask(connection, "POST", "/noop", json.dumps(assign(at), separators=(",", ":")))

        self.control("-i", "on")
        await self.many(64, range(500), single)
        self.control("-z")
        await self.many(64, range(singles), single)
        self.control("-d")
        self.control("-i", "off")


class Service(Counted):
    def __init__(self, program, folder):
        data = folder / "ledger"
        super().__init__(program, folder, "serve", "--data", str(data), "--listen", "127.0.0.1:0")
        self.token = (data / "root.token").read_text().strip()

    async def call(self, connection, method, path, body, kind="application/json"):
        return await self.ask(connection, method, TENANT + path, body, kind)

    async def bulk(self, connection, commands):
        text = "".join(json.dumps(command, separators=(",", ":")) + "\n" for command in commands)
        await self.call(connection, "POST", "/commands", text, "application/x-ndjson")

    async def run(self, singles, lines):
        connection = await self.connect()
        await self.call(connection, "PUT", "", '{"name":"Bench"}')
        item = {"license_type": "offline", "owned": 10**9, "distribution_policy": "restricted"}
        items = [{"sku": f"app{at}", "name": f"App {at}", **item} for at in range(POOLS)]
        await self.call(connection, "POST", "/inventory", json.dumps({"complete": True, "items": items}))
        people = [{"type": "put_user", "user": f"u{at}", "user_name": f"u{at}"} for at in range(USERS)]
        await self.bulk(connection, people)

        async def batch(connection, first):
            await self.bulk(connection, [{"type": "assign", **assign(at)} for at in range(first, first + BATCH)])

        async def single(connection, at):
            await self.call(connection, "POST", "/assignments", json.dumps(assign(at), separators=(",", ":")))

        async def read(connection, at):
            await self.call(connection, "GET", f"/pools/declared:app{at % POOLS}", "")

        await self.many(4, range(0, BEFORE, BATCH), batch)
        self.control("-i", "on")
        at = BEFORE
        # what is done once, and the code that is run for the first time, is not counted
        await self.many(64, range(at, at + 500), single)
        self.control("-z")
        await self.many(64, range(at + 500, at + 500 + singles), single)
        await asyncio.sleep(0.5)
        self.control("-d")
        at += 500 + singles
        self.control("-z")
        await self.many(8, range(at, at + lines, BATCH), batch)
        await asyncio.sleep(0.5)
        self.control("-d")
        await self.many(16, range(500), read)
        self.control("-z")
        await self.many(16, range(singles), read)
        self.control("-d")
        self.control("-i", "off")


def count(what, program, folder, singles, lines):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    service = what(program, folder)
    try:
        asyncio.run(service.run(singles, lines))
    finally:
        service.process.terminate()
        service.process.wait(timeout=300)
    (folder / "counts.json").write_text(json.dumps({"1": singles, "2": lines, "3": singles}))


def of_file(path):
    """What each function took itself."""
    took, function, is_call = collections.Counter(), None, False
    for line in path.open(errors="replace"):
        if line.startswith("fn="):
            function = re.sub(r"'\d+$", "", line[3:].strip())
        elif line.startswith("calls="):
            is_call = True
        elif line[:1].isdigit():
            if not is_call:
                took[function] += int(line.split()[1])
            is_call = False
    return took


def show(folder, top):
    counts = json.loads((folder / "counts.json").read_text())
    for dump, name in (("1", "single calls"), ("2", "lines in bulk"), ("3", "reads of a pool")):
        if not any(folder.glob(f"out.{dump}-*")):
            continue
        threads = collections.defaultdict(collections.Counter)
        for path in sorted(folder.glob(f"out.{dump}-*")):
            took = of_file(path)
            names = "\n".join(filter(None, took))
            kind = next((kind for kind, of in THREADS if re.search(of, names)), "others")
            threads[kind].update(took)
        total = sum(sum(took.values()) for took in threads.values())
        print(f"{name}: {total / counts[dump]:,.0f} instructions a command")
        for kind, took in sorted(threads.items(), key=lambda found: -sum(found[1].values())):
            print(f"  {sum(took.values()) / counts[dump]:10,.0f}  {kind}")
            for function, cost in took.most_common(top):
                print(f"      {cost / counts[dump]:10,.0f}  {str(function)[:120]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("count", "noop"):
        counting = commands.add_parser(name)
        counting.add_argument("program")
        counting.add_argument("folder", type=pathlib.Path)
        counting.add_argument("--singles", type=int, default=8_000)
        counting.add_argument("--lines", type=int, default=32_000)
    showing = commands.add_parser("show")
    showing.add_argument("folder", type=pathlib.Path)
    showing.add_argument("top", type=int, nargs="?", default=0)
    args = parser.parse_args()
    if args.command != "show":
        what = Service if args.command == "count" else Noop
        count(what, args.program, args.folder, args.singles, args.lines)
    show(args.folder, getattr(args, "top", 0))


if __name__ == "__main__":
    main()
