#!/usr/bin/env python3
"""Reads a seatledger log without seatledger.

Written from schemas/log-format.md and the C2SP tlog-tiles and tlog-checkpoint documents alone, with Python's standard
library alone. It takes a tenant's log as tiles, from a folder or from the service, and answers what an auditor asks:

  check    does every record hash into the tree head that was signed, does every tile, can every record be decoded, do
           held and owned seats of every pool follow, and was ever a seat granted that was not there?
  events   every record in words, one JSON object a line
  bundle   is every event of an evidence bundle in the head that it carries, and said as it is recorded?
  mirror   the log's files into a folder, to be checked elsewhere or later: tiles, checkpoint, and the keys that the log has had
  certificate  is everything so that a certificate says, counted again from the records?
  head     has the log of a policy signed a checkpoint, and have enough of its witnesses?
  golden   are the published golden bytes decoded into the published words? (a test of this reader)

With --policy, a file as C2SP tlog-policy has it, check asks that of the log's checkpoint as well. Without one the signatures
are not looked at. Where the log's key was changed since the policy was written, the log's `keys` lead from that key to the one of
today, over heads that name two keys and that both have signed; head takes them with --keys. Not here: a certificate's signature, and personal names, which are sealed.

Exit codes: 0 all is well, 1 something does not hold and is named, 2 it could not be read or asked.
"""

import argparse
import base64
import datetime
import hashlib
import json
import pathlib
import sys
import tarfile
import urllib.error
import urllib.parse
import urllib.request

TILE = 256
HASH_BYTES = 32
RECORD_BYTES_MAX = 5900
CHECKPOINT_BYTES_MAX = 64 << 10
KEYS_MAX = 1024
KEYS_BYTES_MAX = 16 << 20
# beside the tiles: who checks brings a policy of their own, and needs no service for the rest
BESIDE = ("key", CHECKPOINT_BYTES_MAX), ("keys", KEYS_BYTES_MAX), ("policy", 256 << 10)
TYPES = pathlib.Path(__file__).resolve().parent.parent / "events"


class Broken(Exception):
    """Something in the log does not hold."""


def read_json(text):
    """JSON as somebody else wrote it: what is said twice in one object is not read one way here and another way elsewhere."""
    return json.loads(text.decode() if isinstance(text, bytes) else text, object_pairs_hook=said_once)


def said_once(pairs):
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Broken("a name stands twice in one JSON object")
    return found


# --- records ---------------------------------------------------------------------------------------------------------

# a field's number is an id of this kind; everything else that is a number is a count
IDS = {name: name + "_" for name in ("pool", "user", "device", "group", "assignment", "sync", "drift", "held", "token", "review")}
IDS |= {"primary_user": "user_", "exclude": "group_", "explains": "drift_", "pools": "pool_", "seats": "pool_", "reviewers": "token_"}
HOLDERS = {"holder", "members", "seat", "seats"}
TIMES = {"recorded_at", "occurred_at", "expires_at", "grace_until", "ends_at"}
EPOCH = datetime.datetime(1970, 1, 1)


class Decoder:
    """Decodes the records of one version by its published types."""

    def __init__(self, types):
        self.types = types

    def record(self, data):
        """The record's envelope and event, in words. Every byte must be used."""
        value, end = self.named("Record", data, 1, "", top=True)
        if end != len(data):
            raise Broken(f"{len(data) - end} bytes stand behind the end of a record")
        return value

    def value(self, kind, data, at, field):
        if isinstance(kind, str):
            return self.simple(kind, data, at, field)
        (shape, inner), = kind.items()
        if shape == "TYPENAME":
            return self.named(inner, data, at, field)
        if shape == "OPTION":
            tag, at = take(data, at, 1)
            if tag[0] > 1:
                raise Broken(f"{field}: an option is 0 or 1, not {tag[0]}")
            return self.value(inner, data, at, field) if tag[0] else (None, at)
        if shape == "SEQ":
            count, at = varint(data, at)
            if field == "sealed":
                sealed, at = take(data, at, count)
                return sealed.hex(), at
            if count > len(data):
                raise Broken(f"{field}: {count} entries do not fit into a record")
            return self.values([inner] * count, data, at, field)
        if shape == "TUPLE":
            return self.values(inner, data, at, field)
        if shape == "TUPLEARRAY":
            return self.values([inner["CONTENT"]] * inner["SIZE"], data, at, field)
        raise Broken(f"{field}: types.json has a shape that this reader does not know: {shape}")

    def values(self, kinds, data, at, field):
        found = []
        for place, kind in enumerate(kinds):
            value, at = self.value(kind, data, at, field)
            found.append(value)
        return found, at

    def fields(self, fields, data, at):
        found = {}
        for one in fields:
            (name, kind), = one.items()
            found[name], at = self.value(kind, data, at, name)
        return found, at

    def named(self, name, data, at, field, top=False):
        (shape, inner), = self.types[name].items()
        if shape == "STRUCT":
            return self.fields(inner, data, at)
        if shape == "NEWTYPESTRUCT":
            return self.value(inner, data, at, field)
        if shape != "ENUM":
            raise Broken(f"types.json has a shape that this reader does not know: {shape}")
        number, at = varint(data, at)
        variant = inner.get(str(number))
        if variant is None:
            raise Broken(f"{name} has no variant {number}")
        (word, content), = variant.items()
        if content == "UNIT":
            return word, at
        (shape, inner), = content.items()
        if shape == "NEWTYPE":
            value, at = self.value(inner, data, at, word)
        else:
            value, at = self.fields(inner, data, at)
        return {word: value}, at

    def simple(self, kind, data, at, field):
        if kind in ("U8", "BOOL"):
            byte, at = take(data, at, 1)
            if kind == "BOOL" and byte[0] > 1:
                raise Broken(f"{field}: a bool is 0 or 1, not {byte[0]}")
            return (bool(byte[0]) if kind == "BOOL" else byte[0]), at
        if kind in ("STR", "BYTES"):
            length, at = varint(data, at)
            text, at = take(data, at, length)
            try:
                return (text.decode() if kind == "STR" else text.hex()), at
            except UnicodeDecodeError as error:
                raise Broken(f"{field}: no UTF-8: {error}") from error
        number, at = varint(data, at)
        if kind in ("I32", "I64"):
            number = (number >> 1) ^ -(number & 1)
            if field in TIMES:
                return time_text(number), at
            return ((EPOCH + datetime.timedelta(days=number)).date().isoformat() if kind == "I32" else number), at
        if kind == "U64" and field in HOLDERS:
            return (f"device:device_{number // 2}" if number % 2 else f"user:user_{number // 2}"), at
        if kind == "U32" and field in IDS:
            return IDS[field] + str(number), at
        return number, at


def time_text(micros):
    return (EPOCH + datetime.timedelta(microseconds=micros)).isoformat(timespec="microseconds") + "Z"


def take(data, at, count):
    if at + count > len(data):
        raise Broken("a record ends in the middle of a value")
    return data[at : at + count], at + count


def varint(data, at):
    """0 to 250 in one byte; 251, 252 and 253 are followed by 2, 4 and 8 bytes, little-endian, in the shortest form."""
    first, at = take(data, at, 1)
    if first[0] <= 250:
        return first[0], at
    if first[0] > 253:
        raise Broken(f"{first[0]} begins no number")
    size = {251: 2, 252: 4, 253: 8}[first[0]]
    number, at = take(data, at, size)
    number = int.from_bytes(number, "little")
    if number <= {2: 250, 4: 0xFFFF, 8: 0xFFFF_FFFF}[size]:
        raise Broken(f"{number} is not written in its shortest form")
    return number, at


def decoders(folder):
    """One decoder for every version that is published."""
    found = {}
    for types in sorted(folder.glob("v*/types.json")):
        found[int(types.parent.name[1:])] = Decoder(json.loads(types.read_text()))
    if not found:
        raise SystemExit(f"no types of records in {folder}")
    return found


def decode(known, record):
    if not record:
        raise Broken("a record without bytes")
    if record[0] not in known:
        raise Broken(f"record version {record[0]} is not published here")
    return known[record[0]].record(record)


# --- the tree --------------------------------------------------------------------------------------------------------


def leaf(record):
    return hashlib.sha256(b"\x00" + record).digest()


def node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """RFC 6962, as much of it as is needed to grow: the roots of its full subtrees. Hands out each complete subtree whose
    height is a multiple of eight: those are the entries of tiles."""

    def __init__(self):
        self.size = 0
        self.peaks = []
        self.tiles = {}

    def add(self, record):
        hashed, height = leaf(record), 0
        self.entry(0, hashed)
        while self.size >> height & 1:
            hashed, height = node(self.peaks.pop(), hashed), height + 1
            if height % 8 == 0:
                self.entry(height // 8, hashed)
        self.peaks.append(hashed)
        self.size += 1

    def entry(self, level, hashed):
        self.tiles.setdefault(level, []).append(hashed)

    def root(self):
        if not self.peaks:
            return hashlib.sha256(b"").digest()
        hashed = self.peaks[-1]
        for left in reversed(self.peaks[:-1]):
            hashed = node(left, hashed)
        return hashed


def tile_path(level, index, width=TILE):
    """`tile/0/x001/x234/067`, with `.p/5` behind it where only five entries are there."""
    digits = f"{index:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    path = "/".join(["tile", str(level)] + ["x" + group for group in groups[:-1]] + [groups[-1]])
    return path if width == TILE else f"{path}.p/{width}"


def parts(size):
    """The tiles of a level with so many entries: index and width."""
    full, rest = divmod(size, TILE)
    return [(index, TILE) for index in range(full)] + ([(full, rest)] if rest else [])


def bundle(data, width):
    """The records of an entry bundle: each behind its length, two bytes, big-endian."""
    found, at = [], 0
    for _ in range(width):
        length, at = take(data, at, 2)
        record, at = take(data, at, int.from_bytes(length, "big"))
        if len(record) > RECORD_BYTES_MAX:
            raise Broken(f"a record of {len(record)} bytes is longer than the log takes")
        found.append(record)
    if at != len(data):
        raise Broken(f"{len(data) - at} bytes stand behind the last record of a bundle")
    return found


def checkpoint(data):
    """Origin, size and root of a tlog-checkpoint. Its signatures are not looked at."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise Broken(f"the checkpoint is no UTF-8: {error}") from error
    head, _, signatures = text.partition("\n\n")
    lines = head.split("\n")
    signed = signatures.split("\n")
    if len(lines) < 3 or len(signed) < 2 or signed.pop() or not all(line.startswith("\u2014 ") for line in signed):
        raise Broken("the checkpoint has not the form of a tlog-checkpoint")
    if not lines[1].isascii() or not lines[1].isdigit() or (lines[1] != "0" and lines[1].startswith("0")):
        raise Broken(f"the checkpoint's size is {lines[1]!r}")
    try:
        root = base64.b64decode(lines[2], validate=True)
    except ValueError as error:
        raise Broken(f"the checkpoint's root is no base64: {error}") from error
    if len(root) != HASH_BYTES:
        raise Broken(f"the checkpoint's root has {len(root)} bytes")
    return lines[0], int(lines[1]), root


# --- signatures ------------------------------------------------------------------------------------------------------

# Ed25519 as RFC 8032 section 5.1 has it, for the few signatures under a head; slow, and with nothing secret in it
P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)


def add_points(a, b):
    """In extended coordinates."""
    e = (a[1] - a[0]) * (b[1] - b[0]) % P
    f = (a[1] + a[0]) * (b[1] + b[0]) % P
    g = 2 * a[3] * b[3] * D % P
    h = 2 * a[2] * b[2] % P
    return (f - e) * (h - g) % P, (h + g) * (f + e) % P, (h - g) * (h + g) % P, (f - e) * (f + e) % P


def times(number, point):
    found = (0, 1, 1, 0)
    while number:
        if number & 1:
            found = add_points(found, point)
        point, number = add_points(point, point), number >> 1
    return found


def point(encoded):
    """The point that 32 bytes stand for, or None."""
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_1 % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


BASE = point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def is_signed(key, message, signature):
    """Whether the signature over the message is that of the key."""
    public, r = point(key), point(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or public is None or r is None or s >= ORDER:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % ORDER
    a, b = times(s, BASE), add_points(r, times(h, public))
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


class Key:
    """A verifier key of C2SP signed-note: type 1 is a log's, type 4 a witness's."""

    def __init__(self, text):
        name, _, rest = text.partition("+")
        key_id, _, encoded = rest.partition("+")
        try:
            data = base64.b64decode(encoded, validate=True)
        except ValueError as error:
            raise Broken(f"{text!r} is no verifier key: {error}") from error
        if len(data) != 33 or data[0] not in (1, 4) or hashlib.sha256(name.encode() + b"\n" + data).hexdigest()[:8] != key_id:
            raise Broken(f"{text!r} is no verifier key of Ed25519")
        self.text, self.name, self.key_id, self.kind, self.key = text, name, bytes.fromhex(key_id), data[0], data[1:]

    def named(self, name):
        """The same key under another name."""
        data = bytes([self.kind]) + self.key
        key_id = hashlib.sha256(name.encode() + b"\n" + data).hexdigest()[:8]
        return Key(f"{name}+{key_id}+{base64.b64encode(data).decode()}")

    def has_signed(self, text, lines):
        """Whether one of the lines is this key's signature over the text. A wrong one is worse than none."""
        for name, data in lines:
            if name != self.name or data[:4] != self.key_id:
                continue
            message, signature = text, data[4:]
            if self.kind == 4:
                message = b"cosignature/v1\ntime %d\n" % int.from_bytes(signature[:8], "big") + text
                signature = signature[8:]
            if not is_signed(self.key, message, signature):
                raise Broken(f"the signature of {self.name} is not over this text")
            return True
        return False


def signed_text(data):
    """The text of a note, and the lines that sign it: name, and key id with signature."""
    head, _, signatures = data.decode().rpartition("\n\n")
    lines = []
    for line in signatures.removesuffix("\n").split("\n"):
        words = line.split(" ")
        if len(words) != 3 or words[0] != "\u2014":
            raise Broken(f"{line!r} is no signature")
        lines.append((words[1], base64.b64decode(words[2], validate=True)))
    return (head + "\n").encode(), lines


class Keys:
    """The keys that a log has had, oldest first, each with the sizes of the heads that it signs."""

    def __init__(self, data):
        listed = read_json(data)["keys"]
        if not 1 <= len(listed) <= KEYS_MAX:
            raise Broken(f"a list of a log's keys has at least one and at most {KEYS_MAX}")
        self.listed, after = [], 0
        for place, entry in enumerate(listed):
            key, first, last = Key(entry["key"]), entry["from_size"], entry["to_size"]
            is_last = place + 1 == len(listed)
            if key.kind != 1 or not after <= first <= (first if last is None else last) or (last is None) != is_last:
                raise Broken(f"key {place} of the list does not follow the one before it")
            # the log's name may have been changed, its id and the tenant's name not
            if self.listed and key.name.split("/")[-2:] != self.listed[0][0].name.split("/")[-2:]:
                raise Broken(f"key {place} of the list is of another log")
            after = first if is_last else last
            self.listed.append((key, first, last, entry["handover"]))

    def hands_over(self, place):
        """Whether a head that names this key and the next, and that both have signed, leads from one to the other."""
        key, _, last, handover = self.listed[place]
        if handover is None or place + 1 == len(self.listed):
            return False
        text, lines = signed_text(handover.encode())
        origin, size, _ = checkpoint(handover.encode())
        both = key, self.listed[place + 1][0].named(key.name)
        named = text.decode().split("\n")[3:-1]
        if not named:
            raise Broken(f"what should hand over from key {place} of the list to the next names no keys: it is a head like any other")
        if named != [f"key-change {both[0].text} {both[1].text}"]:
            raise Broken(f"what should hand over from key {place} of the list to the next names other keys")
        if origin != key.name or size != last or not all(one.has_signed(text, lines) for one in both):
            raise Broken(f"what hands over from key {place} of the list to the next is not signed by both, or of another size")
        return True

    def trusted_from(self, trusted):
        """The keys for which a trusted one vouches, each with its first and last size; that one alone where it is not listed."""
        run, is_found = [], False
        for place, (key, first, last, _) in enumerate(self.listed):
            run.append((key, first, last))
            is_found |= (key.name, key.key) == (trusted.name, trusted.key)
            leads_on = self.hands_over(place)
            if is_found and not leads_on:
                return run
            if not leads_on:
                run = []
        return [(trusted, 0, None)]


class Policy:
    """Which log and which witnesses must have signed a head, as C2SP tlog-policy writes it."""

    def __init__(self, text):
        self.logs, self.names, self.quorum = [], {}, None
        used = set()
        for number, line in enumerate(text.split("\n"), 1):
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            if words[0] == "log" and len(words) in (2, 3) and Key(words[1]).kind == 1:
                self.logs.append(Key(words[1]))
            elif words[0] == "witness" and len(words) in (3, 4) and self.is_new(words[1]) and Key(words[2]).kind == 4:
                self.names[words[1]] = Key(words[2])
            elif words[0] == "group" and len(words) > 3 and self.is_new(words[1]) and not used & set(words[3:]):
                members = words[3:]
                count = {"all": str(len(members)), "any": "1"}.get(words[2], words[2])
                if not set(members) <= set(self.names) or len(set(members)) < len(members) or not count.isdigit() or not 1 <= int(count) <= len(members):
                    raise Broken(f"line {number} of the policy is no group")
                used |= set(members)
                self.names[words[1]] = (int(count), members)
            elif words[0] == "quorum" and len(words) == 2 and self.quorum is None and (words[1] == "none" or words[1] in self.names):
                self.quorum = words[1]
            else:
                raise Broken(f"line {number} of the policy is not one that this reader takes")
        keys = [key.key for key in self.logs], [key.key for key in self.names.values() if isinstance(key, Key)]
        if self.quorum is None or any(len(set(some)) < len(some) for some in keys):
            raise Broken("the policy has no quorum, or a key twice")

    def is_new(self, name):
        return name != "none" and name not in self.names

    def check(self, data, keys=None):
        """The names of those who have signed the head in a note. Fails where the policy does not count it. `keys` are those
        that the log has had, if they are known."""
        text, lines = signed_text(data)
        origin, size, _ = checkpoint(data)
        logs = []
        for log in self.logs:
            listed = keys.trusted_from(log) if keys else [(log, 0, None)]
            logs += [key for key, first, last in listed if first <= size and (last is None or size <= last) and key.name == origin]
        if not any(log.has_signed(text, lines) for log in logs):
            raise Broken("no log of the policy has signed the head")
        signed = {name for name, key in self.names.items() if isinstance(key, Key) and key.has_signed(text, lines)}
        if self.quorum != "none" and not self.counts(self.quorum, signed):
            raise Broken(f"{len(signed)} of the policy's witnesses have cosigned the head, and that is not the quorum")
        return [origin] + sorted(signed)

    def counts(self, name, signed):
        if isinstance(self.names[name], Key):
            return name in signed
        count, members = self.names[name]
        return sum(self.counts(member, signed) for member in members) >= count


# --- where the files are ---------------------------------------------------------------------------------------------


class NotThere(Broken):
    """There is no such file."""


class Folder:
    def __init__(self, path):
        self.path = pathlib.Path(path)

    def wider(self, index, width):
        there = (wider for wider in range(width, TILE + 1) if (self.path / tile_path("entries", index, wider)).exists())
        return next(there, width)

    def read(self, name, bytes_max):
        try:
            with open(self.path / name, "rb") as file:
                data = file.read(bytes_max + 1)
        except FileNotFoundError as error:
            raise NotThere(f"{name}: {error.strerror}") from error
        except OSError as error:
            raise Broken(f"{name}: {error.strerror}") from error
        return within(name, data, bytes_max)


class Service:
    """`/v1/tenants/TENANT/log` of a running service."""

    def __init__(self, url, token):
        self.url = url.rstrip("/") + "/"
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def wider(self, index, width):
        return width

    def read(self, name, bytes_max):
        request = urllib.request.Request(self.url + name, headers=self.headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return within(name, answer.read(bytes_max + 1), bytes_max)
        except urllib.error.HTTPError as error:
            kind = NotThere if error.code == 404 else Broken
            raise kind(f"{name}: the service answers {error.code}") from error
        except urllib.error.URLError as error:
            raise Broken(f"{name}: {error.reason}") from error


def within(name, data, bytes_max):
    if len(data) > bytes_max:
        raise Broken(f"{name} is larger than {bytes_max} bytes")
    return data


def source(asked):
    if asked.log.startswith(("http://", "https://")):
        token = pathlib.Path(asked.token_file).read_text().strip() if asked.token_file else None
        return Service(asked.log, token)
    return Folder(asked.log)


def keys_of(log):
    """The keys that the log has had, or None where it does not say."""
    try:
        return Keys(log.read("keys", KEYS_BYTES_MAX))
    except NotThere:
        return None


def bundles(log, size):
    """Every entry bundle up to the size: first position, its bytes, its records. A log that has grown since may keep a wider
    one alone."""
    for index, width in parts(size):
        wider = log.wider(index, width)
        data = log.read(tile_path("entries", index, wider), TILE * (2 + RECORD_BYTES_MAX))
        try:
            yield index, width, data, bundle(data, wider)[:width]
        except Broken as error:
            raise Broken(f"{tile_path('entries', index, width)}: {error}") from error


# --- pools -----------------------------------------------------------------------------------------------------------


class Pool:
    """The seats of one pool, as the rules define them: what is owned, who holds, and whether the cap ever broke."""

    def __init__(self, key):
        self.key = key
        self.owned = 0
        self.is_restricted = True
        self.holders = set()
        self.highest_held = 0
        self.lowest_owned = None
        self.grants = 0
        self.over = []

    def cap(self):
        return self.owned if self.is_restricted and self.owned is not None else None

    def grant(self, position, holder):
        cap = self.cap()
        if cap is not None and len(self.holders) >= cap:
            raise Broken(f"position {position}: {self.key} has {cap} seats, {len(self.holders)} are held, and one more was granted")
        self.hold(position, holder)
        self.grants += 1

    def hold(self, position, holder):
        if holder in self.holders:
            raise Broken(f"position {position}: {holder} holds a seat of {self.key} already")
        self.holders.add(holder)

    def release(self, position, holder):
        if holder not in self.holders:
            raise Broken(f"position {position}: {holder} holds no seat of {self.key} that could go")
        self.holders.remove(holder)

    def note(self, position):
        """What is remembered of the pool's figures after each of its events."""
        cap, held = self.cap(), len(self.holders)
        self.highest_held = max(self.highest_held, held)
        if cap is not None:
            self.lowest_owned = cap if self.lowest_owned is None else min(self.lowest_owned, cap)
        is_over = cap is not None and held > cap
        if is_over and (not self.over or self.over[-1]["to"] is not None):
            self.over.append({"from": position, "to": None, "over_by": held - cap})
        elif is_over:
            self.over[-1]["over_by"] = max(self.over[-1]["over_by"], held - cap)
        elif self.over and self.over[-1]["to"] is None:
            self.over[-1]["to"] = position

    def summary(self):
        return {"pool": self.key, "owned": "unlimited" if self.owned is None else self.owned, "held": len(self.holders),
            "grants": self.grants, "highest_held": self.highest_held, "lowest_owned": self.lowest_owned, "over": self.over}


def number_owned(owned):
    return owned["count"] if isinstance(owned, dict) else None


class Ledger:
    def __init__(self):
        self.pools = {}

    def take(self, position, event):
        if not isinstance(event, dict):
            return
        (kind, fact), = event.items()
        if kind == "pool_listed":
            self.pools[fact["pool"]] = Pool(fact["pool"])
        pool = self.pools.get(fact.get("pool")) if isinstance(fact, dict) else None
        if pool is None:
            return
        if kind == "pool_listed":
            pool.owned, pool.is_restricted = number_owned(fact["owned"]), fact["distribution_policy"] == "restricted"
        elif kind == "capacity_changed":
            pool.owned = number_owned(fact["owned"])
        elif kind == "distribution_policy_changed":
            pool.is_restricted = fact["distribution_policy"] == "restricted"
        elif kind == "pool_delisted":
            pool.owned = 0
        elif kind == "seat_granted":
            pool.grant(position, fact["holder"])
        elif kind == "foreign_seat_seen":
            pool.hold(position, fact["holder"])
        elif kind == "seat_released":
            pool.release(position, fact["holder"])
        pool.note(position)


# --- certificates ----------------------------------------------------------------------------------------------------

TITLE = "seatledger certificate v1"
CERTIFICATE_BYTES_MAX = 8 << 20
# the rejections that are refusals by a rule of the state; all others say that a command named nothing real or made no sense
CONFLICTS = set("""tenant_exists user_name_taken device_name_taken group_kind_fixed store_account_already_linked
    store_account_not_linked sync_disabled connector_not_running nothing_held pool_removed pool_suspended user_departed
    device_retired assignment_exists device_not_eligible not_assigned seat_not_revocable order_already_refunded
    refund_window_closed drift_already_resolved seats_still_held refund_exceeds_free_seats not_enough_seats no_seat_available
    too_many_reviews review_not_open review_seat_gone sync_running
    user_not_departed device_not_retired names_erased""".split())
HEAD = {"size", "root", "recorded_at"}
SCOPE = {"log", "from", "to", "consistency", "checkpoint", "pool", "pools", "times_over"}
POOL = ("pool", "key", "held_max", "held_max_position", "owned_min", "grants", "grants_above_cap", "refusals", "times_over")
OVER = ("over", "over_by_max", "began_position", "began_at", "began_by", "cause", "ended_position", "ended_at")


def key_text(key):
    """A pool's key as it is written outside: `declared:editor`."""
    (provider, parts), = key.items()
    if provider == "microsoft":
        return f"{parts['product_id']}:{parts['sku_id']}:{parts['license_type']}"
    if provider == "apple":
        return f"apple:{parts['unit_id']}:{parts['adam_id']}:{parts['pricing_param']}"
    return f"declared:{parts['sku']}"


class Counted:
    """What a certificate says of one pool, counted from the events of its period."""

    def __init__(self, number, position, fact):
        self.id, self.key = number, key_text(fact["key"])
        self.owned, self.is_restricted = number_owned(fact["owned"]), fact["distribution_policy"] == "restricted"
        self.holders, self.owned_position, self.held_position = set(), position, None
        self.since, self.said, self.over = None, None, []

    def over_by(self):
        return max(0, len(self.holders) - self.owned) if self.is_restricted and self.owned is not None else 0

    def begin(self):
        position = self.owned_position if self.held_position is None else self.held_position
        self.said = {"pool": self.id, "key": self.key, "held_max": len(self.holders), "held_max_position": position,
            "owned_min": self.owned, "grants": 0, "grants_above_cap": 0, "refusals": 0, "times_over": 0}
        self.open()

    def open(self):
        if self.since is not None and self.said is not None:
            self.said["times_over"] += 1
            position, at, kind, cause = self.since
            self.over.append({"over": self.id, "over_by_max": self.over_by(), "began_position": position, "began_at": at,
                "began_by": kind, "cause": cause, "ended_position": None, "ended_at": None})

    def take(self, position, at, kind, fact):
        if kind == "capacity_changed":
            self.owned, self.owned_position = number_owned(fact["owned"]), position
        elif kind == "distribution_policy_changed":
            self.is_restricted, self.owned_position = fact["distribution_policy"] == "restricted", position
        elif kind == "pool_delisted":
            self.owned, self.owned_position = 0, position
        elif kind in ("seat_granted", "foreign_seat_seen"):
            if kind == "seat_granted" and self.said is not None:
                self.said["grants"] += 1
                self.said["grants_above_cap"] += int(self.is_restricted and self.owned is not None and len(self.holders) >= self.owned)
            if fact["holder"] in self.holders:
                raise Broken(f"position {position}: {fact['holder']} holds a seat of {self.id} already")
            self.holders.add(fact["holder"])
            self.held_position = position
        elif kind == "seat_released":
            if fact["holder"] not in self.holders:
                raise Broken(f"position {position}: {fact['holder']} holds no seat of {self.id} that could go")
            self.holders.remove(fact["holder"])
            self.held_position = position
        elif kind in ("command_refused", "batch_refused") and self.said is not None:
            rejection = fact["rejection"]
            self.said["refusals"] += int((rejection if isinstance(rejection, str) else next(iter(rejection))) in CONFLICTS)
        elif kind == "refusals_counted" and self.said is not None:
            self.said["refusals"] += fact["count"]
        self.look(position, at, kind, fact)

    def look(self, position, at, kind, fact):
        if self.said is not None:
            if len(self.holders) > self.said["held_max"]:
                self.said["held_max"], self.said["held_max_position"] = len(self.holders), position
            known = [owned for owned in (self.said["owned_min"], self.owned) if owned is not None]
            self.said["owned_min"] = min(known) if known else None
        open_now = self.over[-1] if self.over and self.over[-1]["ended_position"] is None else None
        if self.over_by() and self.since is None:
            self.since = (position, at, kind, fact.get("cause"))
            self.open()
        elif self.over_by() and open_now:
            open_now["over_by_max"] = max(open_now["over_by_max"], self.over_by())
        elif not self.over_by() and self.since is not None:
            self.since = None
            if open_now:
                open_now["ended_position"], open_now["ended_at"] = position, at


def certificate_lines(data):
    """The JSON lines of a certificate. Its signature is not looked at."""
    if len(data) > CERTIFICATE_BYTES_MAX:
        raise Broken(f"a certificate of more than {CERTIFICATE_BYTES_MAX} bytes is not read")
    try:
        text, _, signatures = data.decode().rpartition("\n\n")
        title, *lines = text.split("\n")
        lines = [read_json(line) for line in lines]
    except ValueError as error:
        raise Broken(f"the certificate can't be read: {error}") from error
    if title != TITLE or not signatures.startswith("\u2014 ") or not lines:
        raise Broken(f"a certificate is a signed note that begins with {TITLE!r}")
    scope, pools, times = lines[0], [], []
    if not isinstance(scope, dict) or set(scope) != SCOPE or any(set(scope[end]) != HEAD for end in ("from", "to")):
        raise Broken("the certificate's second line has other fields than the document says")
    for line in lines[1:]:
        if isinstance(line, dict) and tuple(line) == POOL:
            pools.append(line)
        elif isinstance(line, dict) and tuple(line) == OVER and pools and pools[-1]["pool"] == line["over"]:
            times.append(line)
        else:
            raise Broken(f"a line of the certificate is none that the document knows: {json.dumps(line)}")
    return scope, pools, times


def certificate(asked):
    log, known = source(asked), decoders(pathlib.Path(asked.types))
    with open(asked.file, "rb") as file:
        scope, pools, times = certificate_lines(file.read(CERTIFICATE_BYTES_MAX + 1))
    head = checkpoint(scope["checkpoint"].encode())
    if head != (scope["log"], scope["to"]["size"], base64.b64decode(scope["to"]["root"])):
        raise Broken("the head that the certificate carries is another than it speaks of")
    if scope["from"]["size"] > scope["to"]["size"]:
        raise Broken("the certificate's period ends before it begins")
    tree, counted, at = Tree(), {}, None

    def reached(end):
        root = base64.b64encode(tree.root()).decode()
        if (root, at) != (end["root"], end["recorded_at"]):
            raise Broken(f"the first {tree.size} records make the tree {root}, the last of {at}, and not what the certificate says")

    for _, _, _, records in bundles(log, scope["to"]["size"]):
        for record in records:
            if tree.size == scope["from"]["size"]:
                reached(scope["from"])
                for pool in counted.values():
                    pool.begin()
            position, told = tree.size, decode(known, record)
            tree.add(record)
            at = told["recorded_at"]
            (kind, fact), = told["event"].items() if isinstance(told["event"], dict) else ((told["event"], {}),)
            if kind == "pool_listed":
                counted[fact["pool"]] = Counted(fact["pool"], position, fact)
                if tree.size > scope["from"]["size"]:
                    counted[fact["pool"]].begin()
            elif isinstance(fact, dict) and fact.get("pool") in counted:
                counted[fact["pool"]].take(position, at, kind, fact)
    if tree.size == scope["from"]["size"]:
        reached(scope["from"])
        for pool in counted.values():
            pool.begin()
    reached(scope["to"])
    found = [pool for pool in counted.values() if scope["pool"] in (None, pool.id)]
    differ("all", {"pools": scope["pools"], "times_over": scope["times_over"]},
        {"pools": len(found), "times_over": sum(pool.said["times_over"] for pool in found)})
    for said, pool in zip_whole("pool", pools, found):
        differ(said["pool"], said, pool.said)
    for said, over in zip_whole("time above a cap", times, [over for pool in found for over in pool.over]):
        differ(f"{said['over']}, above its cap", said, over)
    print(f"{scope['log']}: {len(found)} pools and {len(times)} times above a cap are as the certificate says, from "
        f"{scope['from']['size']} to {scope['to']['size']} records; its signature is for others to check")


def zip_whole(what, said, found):
    if len(said) != len(found):
        raise Broken(f"the certificate has {len(said)} lines of a {what}, and the records {len(found)}")
    return zip(said, found)


def differ(of, said, found):
    for name, value in said.items():
        if value != found[name] or type(value) is not type(found[name]):
            raise Broken(f"{of}: {name} is said to be {json.dumps(value)}, and the records say {json.dumps(found[name])}")


# --- evidence bundles ------------------------------------------------------------------------------------------------

BUNDLE_EVENTS_BYTES_MAX = 64 << 20
BUNDLE_EVENTS_MAX = 10_000
# no event in words is longer
LINE_BYTES_MAX = 256 << 10
SMALL_BYTES_MAX = 64 << 10
DOCUMENT_BYTES_MAX = 4 << 20
PROOF_BYTES_MAX = CHECKPOINT_BYTES_MAX + (128 << 10)
DOCUMENTS = "schemas/log-format.md", "schemas/events/v1/types.json", "schemas/reader/seatledger_log.py"
SEALED = ("profile", "names")


def hash_of(line):
    try:
        found = base64.b64decode(line, validate=True)
    except ValueError as error:
        raise Broken(f"{line!r} is no base64: {error}") from error
    if len(found) != HASH_BYTES:
        raise Broken(f"{line!r} is no hash")
    return found


def tlog_proof(name, data):
    """Record, index, path and checkpoint of a C2SP tlog-proof."""
    head, _, checkpoint_text = data.decode().partition("\n\n")
    lines = head.split("\n")
    if len(lines) < 3 or lines[0] != "c2sp.org/tlog-proof@v1" or not lines[1].startswith("extra ") or not lines[2].startswith("index "):
        raise Broken(f"{name} is no proof with its record")
    return base64.b64decode(lines[1][6:], validate=True), int(lines[2][6:]), [hash_of(line) for line in lines[3:]], checkpoint_text


def root_by(hashed, index, size, path):
    """The root that a path leads to (RFC 9162 section 2.1.3.2)."""
    if index >= size:
        raise Broken(f"record {index} is in no tree of {size}")
    last = size - 1
    for sibling in path:
        if last == 0:
            raise Broken("the path is longer than the tree is high")
        if index & 1 or index == last:
            hashed = node(sibling, hashed)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            hashed = node(hashed, sibling)
        index, last = index >> 1, last >> 1
    if last:
        raise Broken("the path is shorter than the tree is high")
    return hashed


def said_as_recorded(slug, position, version, told, said):
    """Whether an event in words is its record. Names are sealed in the record: they may say anything, or null."""
    (kind, fact), = told["event"].items() if isinstance(told["event"], dict) else ((told["event"], {}),)
    data = {name: value for name, value in (fact or {}).items() if (kind, name) != ("token_issued", "hash")}
    for name in SEALED:
        if name in data:
            data[name] = said["data"].get(name) if isinstance(said.get("data"), dict) else None
            if data[name] is not None and not isinstance(data[name], dict):
                raise Broken(f"position {position}: data.{name} is neither null nor an object")
    actor = told["actor"] if isinstance(told["actor"], str) else told["actor"]["token"]
    expected = {"specversion": "1.0", "id": f"{slug}/{position}", "source": f"/v1/tenants/{slug}", "type": f"seatledger.{kind}",
        "time": told["recorded_at"], "datacontenttype": "application/json", "position": str(position), "eventversion": version,
        "actor": actor, "door": told["door"], "data": data}
    if told["occurred_at"] is not None:
        expected["occurredat"] = told["occurred_at"]
    if told["reason"] is not None:
        expected["reason"] = told["reason"]
    if told["command"] is not None:
        expected["commandid"] = command_id(told["command"])
        expected["contenthash"] = bytes(told["command"]["content_hash"]).hex()
    for name in sorted(expected.keys() | said.keys()):
        # as texts: to Python, 1 and true are the same
        found, recorded = ([json.dumps(one[name], sort_keys=True)] if name in one else [] for one in (said, expected))
        if found != recorded:
            raise Broken(f"position {position}: {name} is said to be {''.join(found) or 'absent'}, and the record says {''.join(recorded) or 'nothing'}")


class Files:
    """The files of a bundle in their order, one at a time and each bounded: whoever made it may have lied about their sizes."""

    def __init__(self, archive):
        self.archive, self.entries, self.sums = archive, iter(archive), []

    def next(self, name, bytes_max):
        entry = next(self.entries, None)
        if entry is None or entry.name != name:
            raise Broken(f"{'nothing' if entry is None else repr(entry.name)} stands where a bundle has {name}")
        # one with holes, or with a second header that says a size, can be far larger than what holds it
        is_plain = entry.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not entry.issparse() and not entry.pax_headers
        if not is_plain or entry.size > bytes_max:
            raise Broken(f"{name} is no plain file of at most {bytes_max} bytes")
        data = self.archive.extractfile(entry).read()
        self.sums.append(f"{hashlib.sha256(data).hexdigest()}  {name}\n")
        return data

    def end(self):
        sums = "".join(self.sums).encode()
        if self.next("SHA256SUMS", SMALL_BYTES_MAX + len(sums)) != sums:
            raise Broken("a file is not what SHA256SUMS says, or is not in it")
        if next(self.entries, None) is not None:
            raise Broken("something stands behind SHA256SUMS")


def evidence(asked):
    known = decoders(pathlib.Path(asked.types))
    with tarfile.open(asked.file, "r:") as archive:
        files = Files(archive)
        about = read_json(files.next("bundle.json", SMALL_BYTES_MAX))
        files.next("README.txt", SMALL_BYTES_MAX)
        note = files.next("checkpoint", CHECKPOINT_BYTES_MAX)
        files.next("keys", SMALL_BYTES_MAX)
        origin, size, root = checkpoint(note)
        if (about["format"], about["log"], about["size"]) != (1, origin, size):
            raise Broken("bundle.json has another format, or speaks of another head than the one in checkpoint")
        *lines, rest = files.next("events.ndjson", BUNDLE_EVENTS_BYTES_MAX).split(b"\n", BUNDLE_EVENTS_MAX)
        if rest or len(lines) != about["events"]:
            raise Broken(f"events.ndjson has not the lines that bundle.json says, or more than {BUNDLE_EVENTS_MAX}")
        before = -1
        for number, line in enumerate(lines, 1):
            if len(line) > LINE_BYTES_MAX:
                raise Broken(f"line {number} of events.ndjson is longer than that of any event")
            said = read_json(line)
            position = said.get("position") if isinstance(said, dict) else None
            if not isinstance(position, str) or not position.isascii() or not position.isdigit() or len(position) > 20 or int(position) <= before:
                raise Broken(f"line {number} of events.ndjson has no position that follows the one before it")
            before, name = int(position), f"proofs/{position}.tlog-proof"
            record, index, path, head = tlog_proof(name, files.next(name, PROOF_BYTES_MAX))
            if str(index) != position or head.encode() != note:
                raise Broken(f"{name} is of another position, or of another head")
            if root_by(leaf(record), index, size, path) != root:
                raise Broken(f"{name} leads to another root than the checkpoint's")
            told = decode(known, record)
            said_as_recorded(origin.rsplit("/", 1)[-1], index, record[0], told, said)
        for name in DOCUMENTS:
            data, ours = files.next(name, DOCUMENT_BYTES_MAX), TYPES.parent / name.removeprefix("schemas/")
            if ours.exists() and ours.read_bytes() != data:
                print(f"WARNING: {name} in the bundle is not the one that belongs to this reader; do not run or believe it", file=sys.stderr)
        files.end()
    print(f"{len(lines)} events are in the {size} records of {origin}, and said as they are recorded, but for names, which no proof "
        "covers; the signature and README.txt are for others to check")


# --- what it does ----------------------------------------------------------------------------------------------------


def check(asked):
    log, known = source(asked), decoders(pathlib.Path(asked.types))
    note = log.read("checkpoint", CHECKPOINT_BYTES_MAX)
    origin, size, root = checkpoint(note)
    signed_by = policy_of(asked).check(note, keys_of(log)) if asked.policy else None
    tree, ledger = Tree(), Ledger()
    for _, _, _, records in bundles(log, size):
        for record in records:
            position = tree.size
            tree.add(record)
            try:
                ledger.take(position, decode(known, record)["event"])
            except Broken as error:
                text = str(error)
                raise Broken(text if text.startswith("position") else f"position {position}: {text}") from error
    if tree.root() != root:
        raise Broken(f"the records make another tree than the checkpoint says: {tree.root().hex()}, not {root.hex()}")
    tiles = 0
    for level, hashes in sorted(tree.tiles.items()):
        for index, width in parts(len(hashes)):
            name = tile_path(level, index, width)
            expected = b"".join(hashes[index * TILE : index * TILE + width])
            if log.read(name, TILE * HASH_BYTES) != expected:
                raise Broken(f"{name} does not hold the hashes of the records under it")
            tiles += 1
    report = {"origin": origin, "size": size, "root": root.hex(), "tiles": tiles, "cap_ever_broken": False,
        "signed_by": signed_by, "pools": [pool.summary() for pool in ledger.pools.values()]}
    if asked.json:
        print(json.dumps(report))
        return
    print(f"{origin}: {size} records and {tiles} tiles make the tree of the checkpoint, {root.hex()}")
    for pool in report["pools"]:
        over = f", over its cap {len(pool['over'])} times" if pool["over"] else ""
        print(f"{pool['pool']}: owned {pool['owned']}, held {pool['held']}, at most {pool['highest_held']}, {pool['grants']} grants{over}")
    print("no seat was granted that was not there")


def policy_of(asked):
    return Policy(pathlib.Path(asked.policy).read_text())


def head(asked):
    note = within(asked.file, pathlib.Path(asked.file).read_bytes(), CHECKPOINT_BYTES_MAX)
    origin, size, _ = checkpoint(note)
    keys = Keys(within(asked.keys, pathlib.Path(asked.keys).read_bytes(), KEYS_BYTES_MAX)) if asked.keys else None
    print(f"{origin}: {size} records, signed by {', '.join(policy_of(asked).check(note, keys))}")


def events(asked):
    log, known = source(asked), decoders(pathlib.Path(asked.types))
    _, size, _ = checkpoint(log.read("checkpoint", CHECKPOINT_BYTES_MAX))
    position = 0
    for _, _, _, records in bundles(log, size):
        for record in records:
            print(json.dumps({"position": position} | decode(known, record), ensure_ascii=False))
            position += 1


def mirror(asked):
    log, folder = source(asked), pathlib.Path(asked.folder)
    head = log.read("checkpoint", CHECKPOINT_BYTES_MAX)
    _, size, _ = checkpoint(head)
    count = size
    names = [tile_path("entries", index, width) for index, width in parts(size)]
    level = 0
    while count:
        names += [tile_path(level, index, width) for index, width in parts(count)]
        level, count = level + 1, count // TILE
    for name in names:
        keep(folder / name, log.read(name, TILE * (2 + RECORD_BYTES_MAX)))
    for name, bytes_max in BESIDE:
        try:
            keep(folder / name, log.read(name, bytes_max))
        except NotThere:
            # a log of somebody else's may have none of these
            continue
    # last, so that a mirror with a checkpoint is a whole one
    keep(folder / "checkpoint", head)
    print(f"{len(names)} tiles of {size} records are in {folder}")


def keep(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def golden(asked):
    count = 0
    for file in sorted(pathlib.Path(asked.types).glob("v*/golden.json")):
        known = decoders(pathlib.Path(asked.types))
        for sample in json.loads(file.read_text()):
            found = decode(known, bytes.fromhex(sample["record"]))
            if found["event"] != sample["event"]:
                raise Broken(f"{file.parent.name}: {json.dumps(sample['event'])} was read as {json.dumps(found['event'])}")
            words = sample["envelope"]
            for name in ("recorded_at", "occurred_at", "actor", "door", "reason"):
                if found[name] != words[name]:
                    raise Broken(f"{file.parent.name}: {name} {words[name]!r} was read as {found[name]!r}")
            if command_id(found["command"]) != words["command_id"]:
                raise Broken(f"{file.parent.name}: the id {words['command_id']!r} was read as {found['command']!r}")
            count += 1
    print(f"{count} golden records are read as they are published")


def command_id(command):
    if command is None:
        return None
    (kind, value), = command["id"].items()
    if kind == "Text":
        return value
    text = bytes(value).hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--types", default=str(TYPES), metavar="DIR", help="the folder with v1/types.json (default: beside this file)")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, run, what in (("bundle", evidence, "check an evidence bundle"), ("certificate", certificate, "count a certificate again"), ("check", check, "check everything"), ("events", events, "print every record"),
            ("mirror", mirror, "copy the log's files"), ("head", head, "check who has signed a checkpoint"), ("golden", golden, "check this reader")):
        one = commands.add_parser(name, help=what)
        one.set_defaults(run=run)
        if name == "certificate":
            one.add_argument("file", help="the certificate")
        if name == "bundle":
            one.add_argument("file", help="the bundle")
        elif name == "head":
            one.add_argument("file", help="a checkpoint")
        elif name != "golden":
            one.add_argument("log", help="a folder with checkpoint and tile/, or http://HOST/v1/tenants/TENANT/log")
            one.add_argument("--token-file", metavar="FILE", help="holds the token for the service")
        if name in ("check", "head"):
            one.add_argument("--policy", required=name == "head", metavar="FILE", help="who must have signed, as C2SP tlog-policy has it")
        if name == "head":
            one.add_argument("--keys", metavar="FILE", help="the keys that the log has had, as it hands them out under `keys`")
        if name == "check":
            one.add_argument("--json", action="store_true", help="the findings as one JSON object")
        if name == "mirror":
            one.add_argument("folder", help="where to")
    asked = parser.parse_args()
    try:
        asked.run(asked)
    except Broken as error:
        print(f"it does not hold: {error}", file=sys.stderr)
        return 1
    except (OSError, ValueError, KeyError, TypeError, RecursionError, tarfile.TarError) as error:
        print(f"it could not be read: {error!r}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
