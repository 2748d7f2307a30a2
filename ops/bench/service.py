"""Programs to be measured, started and asked over HTTP: for the scripts beside this one. Standard library only."""

import asyncio
import http.client
import json
import os
import pathlib
import re
import subprocess
import time

TOKEN = "x" * 40


class Process:
    """A program that says `listening on URL` first, and one connection to it."""

    def __init__(self, command, environment=None, log=None):
        environment = {**os.environ, "SEATLEDGER_ROOT_TOKEN": TOKEN, **(environment or {})}
        log = open(log, "a", encoding="utf-8") if log else None
        self.process = subprocess.Popen(
            [str(word) for word in command], env=environment, stdout=subprocess.PIPE, stderr=log, text=True
        )
        self.host = self.process.stdout.readline().strip().removeprefix("listening on http://")
        self.connection, self.idle_until = http.client.HTTPConnection(self.host, timeout=3600), 0.0

    def call(self, method, path, body=None, lines=False):
        kind = "application/x-ndjson" if lines else "application/json"
        data = body if lines or body is None else json.dumps(body)
        headers = {"Authorization": "Bearer " + TOKEN, "Content-Type": kind, "Accept": kind}
        if time.monotonic() > self.idle_until:
            # the other side lets go of who says nothing
            self.connection.close()
        self.connection.request(method, path, data, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        self.idle_until = time.monotonic() + 5
        return answer.status, text

    def must(self, method, path, body=None, lines=False):
        status, text = self.call(method, path, body, lines)
        if status >= 300:
            raise SystemExit(f"{method} {path}: {status} {text[:400]}")
        return text.decode() if lines or not text or not text.startswith((b"{", b"[")) else json.loads(text)

    def bulk(self, tenant, commands, size=2000):
        for at in range(0, len(commands), size):
            text = "".join(json.dumps(command) + "\n" for command in commands[at : at + size])
            self.must("POST", tenant + "/commands", text, lines=True)

    def mib(self):
        """Resident now, and at most so far."""
        lines = pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return {line.split(":")[0]: int(line.split()[1]) // 1024 for line in lines if line.startswith(("VmRSS", "VmHWM"))}

    def cpu(self):
        """Seconds of processor time that it has taken, all its threads together."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.terminate()
        self.process.wait(600)


class Service(Process):
    def __init__(self, program, folder, *options, environment=None):
        folder.mkdir(parents=True, exist_ok=True)
        self.data = folder / "ledger"
        command = [program, "serve", "--data", self.data, "--listen", "127.0.0.1:0", "--log", "warn", *options]
        unlimited = {"SEATLEDGER_STRANGER_REQUESTS_PER_SECOND": "0", **(environment or {})}
        super().__init__(command, unlimited, folder / "service.log")


class Caller:
    """One connection of many at once."""

    @classmethod
    async def to(cls, host):
        caller = cls()
        address, port = host.split(":")
        caller.reader, caller.writer = await asyncio.open_connection(address, int(port), limit=1 << 26)
        return caller

    async def call(self, method, path, body="", kind="application/json"):
        """Status and text."""
        body = body.encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: {kind}\r\n"
        self.writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.I)
        text = await self.reader.readexactly(int(length.group(1))) if length else b""
        return int(head[9:12]), text


def item(sku, owned=10**9):
    """An app of a declared inventory."""
    fixed = {"license_type": "offline", "publisher": "Bench", "distribution_policy": "restricted", "encrypted": False}
    price = {"currency": "EUR", "minor_units": 1000}
    return {"sku": sku, "name": sku, "owned": owned, "price": price, "related_set": None, **fixed}


def people(count):
    return [{"type": "put_user", "user": f"u{n}", "user_name": f"u{n}"} for n in range(count)]
