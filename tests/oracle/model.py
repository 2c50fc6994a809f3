"""The model: judges records one after another as DESIGN 3 says and keeps what the store must then hold.

It is told records in the order in which the worker handled them; it has no clock, no threads, no transactions. What it
keeps is plain: dicts and lists that `store.py` turns into the rows of DESIGN 6. Park deadlines, pruning and requeueing
are outside it: the logs of these tests never get there.
"""
from dataclasses import dataclass, field
from typing import Optional

import canonical as cj
import envelope as ev
import machine as mc

RECORD_BYTES = 1_048_576
OUTCOMES = ("applied", "duplicate", "stale", "parked", "quarantined", "filtered")


@dataclass
class Claim:
    rule: str
    fingerprint: bytes
    ref: int


@dataclass
class Event:
    """A record that owns a claim: what a parked row remembers."""
    ref: int
    machine: mc.Machine
    envelope: ev.Envelope

    @property
    def record(self):
        return self.envelope.record


@dataclass
class Partition:
    first: int                       # where the worker began
    next_offset: int
    anchor: Optional[bytes] = None
    counters: dict = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))
    ledger: list = field(default_factory=list)          # [first_offset, last_offset, outcome, records]


class Model:
    def __init__(self, machines, hash_key=bytes(32), record_bytes=RECORD_BYTES, horizon_ms=None, first_ref=1):
        self.machines = machines
        self.hash_key, self.record_bytes, self.horizon_ms = hash_key, record_bytes, horizon_ms
        self.next_ref = first_ref
        self.claims = {}             # 16 bytes -> Claim
        self.entities = {m.name: {} for m in machines}      # id -> {state, version, last_seq, columns, times}
        self.records = {}            # table -> {key -> row}
        for m in machines:
            self.records.update({table: {} for table in m.records})
        self.history, self.sightings = [], []
        self.parked = {m.name: {} for m in machines}        # entity id -> [Event] in order of their ref
        self.quarantine = []
        self.conflicts = {}          # (ref, fingerprint) -> quarantine row
        self.partitions = {}         # (topic, partition) -> Partition
        self.cells_seen = {}         # (state, event, verdict or reason) -> count: what a log has reached

    # --- one record -----------------------------------------------------------------------------------------------

    def handle(self, record, first=None):
        """Judges one record. `first`: where its partition began, if this may be its first record."""
        place = self.partitions.setdefault((record.topic, record.partition), None)
        if place is None:
            begin = record.offset if first is None else first
            place = self.partitions[record.topic, record.partition] = Partition(begin, begin)
        outcome = self._judge(record)
        self._account(place, record, outcome)
        return outcome

    def _judge(self, record):
        try:
            event = self._decode(record)
            identity = self.identity(event.machine, event.envelope)
        except ev.Rejected as rejected:
            if rejected.reason == "filtered":
                return "filtered"
            self._quarantine(self._draw(), rejected.reason, record)
            return "quarantined"
        return self._claim(event, *identity)

    def _account(self, place, record, outcome):
        place.counters[outcome] += 1
        runs = place.ledger
        if runs:
            runs[-1][1] = record.offset - 1              # a gap joins the run before it
        if runs and runs[-1][2] == outcome:
            runs[-1][1] = record.offset
            runs[-1][3] += 1
        else:
            begin = record.offset if runs else place.first
            runs.append([begin, record.offset, outcome, 1])
        place.next_offset = record.offset + 1
        place.anchor = cj.anchor(self.hash_key, record.offset, record.key, record.value)

    def _draw(self):
        self.next_ref += 1
        return self.next_ref - 1

    # --- steps 1 to 4: nothing is known yet, nothing is claimed ---------------------------------------------------

    def _decode(self, record):
        headers = sum(len(n.encode("utf-8")) + len(v or b"") for n, v in record.headers)
        if max(len(record.value or b""), len(record.key or b""), headers) > self.record_bytes:
            raise ev.Rejected("oversize")
        machines = [m for m in self.machines if record.topic in m.topics]
        general = machines[0]                # machines of one topic agree on message, unknown, tombstones and filter
        if record.value is None:
            raise ev.Rejected("filtered" if general.tombstones == "filter" else "malformed", "tombstone")
        if record.value == b"":
            raise ev.Rejected("malformed", "empty")
        envelope = ev.decode(record, general.message)
        if envelope.type in general.filter:
            raise ev.Rejected("filtered")
        machine = next((m for m in machines if envelope.type in m.events), None)
        if machine is None:
            raise ev.Rejected("filtered" if general.unknown == "filter" else "unknown_type", envelope.type)
        envelope.where["entity"] = machine.message["entity"]
        envelope.identify()
        for pointer, uses in machine.needs[envelope.type].items():
            value = cj.resolve(envelope.document, pointer)
            for kind, column in uses:
                if not mc.has_type(kind, value) or (column and not column.in_range(value)):
                    raise ev.Rejected("malformed", pointer)
        return Event(0, machine, envelope)

    # --- steps 5 and 6: the claim ---------------------------------------------------------------------------------

    def _claim(self, event, key, rule, fingerprint):
        taken = self.claims.get(key)
        if taken and (taken.rule != rule or taken.fingerprint == fingerprint):
            self._sight(taken.ref, "same_id", event.record)
            return "duplicate"
        if taken:
            row = self.conflicts.get((taken.ref, fingerprint))
            if row:
                row["seen"] += 1
            else:
                row = self._quarantine(self._draw(), "conflict", event.record, event, (taken.ref, fingerprint))
                self.conflicts[taken.ref, fingerprint] = row
            return "quarantined"
        event.ref = self._draw()
        self.claims[key] = Claim(rule, fingerprint, event.ref)
        if self.horizon_ms is not None and event.envelope.event_time_ms < self.horizon_ms:
            self._quarantine(event.ref, "expired", event.record, event)
            return "quarantined"
        verdict, detail = self._decide(event)
        outcome = self._carry_out(event, verdict, detail, event.ref, "kafka")
        if outcome == "applied":
            self._wake(event.machine, event.envelope.entity)
        return outcome

    def identity(self, machine, envelope):
        """(claim key, fingerprint rule, the fingerprint's eight bytes)."""
        claim = machine.claim_of(envelope.type)
        parts = []
        for place in claim["key"]:
            value = envelope.look(place)
            if isinstance(value, int) and not isinstance(value, bool):
                parts.append(value)
            else:
                parts.append(ev.require_name(value, place))
        fields = []
        for place in claim["fingerprint"]:
            value = envelope.type if place == "type" else envelope.look(place)
            for ignored in claim.get("ignore", []):
                if value is not cj.ABSENT and ignored == place:
                    value = cj.ABSENT
                elif value is not cj.ABSENT and ignored.startswith(place + "/"):
                    value = cj.without(value, cj.tokens(ignored[len(place):]))
            fields.append(value)
        key = cj.claim_key(self.hash_key, claim["space"], parts)
        return key, machine.rule(envelope.type), cj.fingerprint(self.hash_key, fields, envelope.entity)

    # --- steps 7 to 9: decide, seeing what is stored; nothing is changed here -------------------------------------

    def _decide(self, event):
        """(verdict, detail): apply (transition, changes), stale, park, or quarantine with its reason."""
        machine, document, kind = event.machine, event.envelope.document, event.envelope.type
        entity = self.entities[machine.name].get(event.envelope.entity)
        state = entity["state"] if entity else mc.NONE
        columns = entity or {machine.key: event.envelope.entity, **{n: c.default for n, c in machine.columns.items()}}
        verdict, detail = self._decide_business_keys(machine, machine.events[kind], document, columns)
        if verdict is None:
            cell = machine.table_of[state, kind]
            if cell == "apply":
                verdict, detail = self._decide_apply(machine, machine.transition(state, kind), document, columns)
            elif cell == "stale":
                same = any(self._says_nothing_new(machine, t, document, columns) for t in machine.events[kind])
                verdict, detail = ("stale", None) if same else ("quarantine", "illegal")
            elif cell == "reject":
                verdict, detail = "quarantine", "illegal"
            else:
                verdict = "park"
        seen = (state, kind, detail if verdict == "quarantine" else verdict)
        self.cells_seen[seen] = self.cells_seen.get(seen, 0) + 1
        return verdict, detail

    def _rows(self, machine, transition, document, columns):
        """What a transition would record: (table, key, row)."""
        for table, spec in transition.record.items():
            row = dict.fromkeys(machine.records[table][1])
            row.update({name: o.evaluate(document, columns) for name, o in spec.items()})
            yield table, row[machine.records[table][0]], row

    def _stored(self, table, key):
        row = self.records[table].get(key)
        return row and {name: v for name, v in row.items() if name != "seq"}

    def _decide_business_keys(self, machine, transitions, document, columns):
        would = {}
        for t in transitions:
            for table, key, row in self._rows(machine, t, document, columns):
                would.setdefault((table, key), []).append(row)
        stored = {place: self._stored(*place) for place in would}
        if any(row and row not in would[place] for place, row in stored.items()):
            return "quarantine", "business_key"
        return ("stale", None) if any(stored.values()) else (None, None)

    def _says_nothing_new(self, machine, transition, document, columns):
        if any(columns.get(name) != o.evaluate(document, columns) for name, o in transition.set.items()):
            return False
        return all(self._stored(table, key) == row for table, key, row in self._rows(machine, transition, document, columns))

    def _decide_apply(self, machine, transition, document, columns):
        for left, comparison, right in transition.require:
            a, b = left.evaluate(document, columns), right.evaluate(document, columns)
            if a is None or b is None or not mc.COMPARISONS[comparison](a, b):
                return "quarantine", "guard"
        changes = {name: o.evaluate(document, columns) for name, o in transition.set.items()}
        for name, o in transition.add.items():
            terms = (columns.get(name), o.evaluate(document, columns))
            changes[name] = None if None in terms else sum(terms)
        for name, value in changes.items():
            if value is None or not machine.columns[name].in_range(value):
                return "quarantine", "guard"
        for table, _, row in self._rows(machine, transition, document, columns):
            for name, value in row.items():
                if value is not None and not machine.records[table][1][name].in_range(value):
                    return "quarantine", "guard"
        return "apply", (transition, changes)

    # --- effects --------------------------------------------------------------------------------------------------

    def _carry_out(self, event, verdict, detail, seq, via):
        if verdict == "apply":
            self._apply(event, *detail, seq, via)
            return "applied"
        if verdict == "stale":
            self._sight(event.ref, "stale", event.record)
            return "stale"
        waiting = self.parked[event.machine.name].setdefault(event.envelope.entity, [])
        if verdict == "park":
            if len(waiting) < event.machine.park.get("per_entity", 32):
                waiting.append(event)
                return "parked"
            detail = "overflow"
        self._quarantine(event.ref, detail, event.record, event)
        return "quarantined"

    def _apply(self, event, transition, changes, seq, via):
        machine, envelope, record = event.machine, event.envelope, event.record
        entities = self.entities[machine.name]
        old = entities.get(envelope.entity)
        state = old["state"] if old else mc.NONE
        columns = old or {machine.key: envelope.entity, **{n: c.default for n, c in machine.columns.items()}}
        rows = list(self._rows(machine, transition, envelope.document, columns))
        new = dict(columns)
        new.update(changes)
        new.update(state=transition.target(state), version=old["version"] + 1 if old else 1, last_seq=seq,
                   updated_at_ms=envelope.event_time_ms)
        if not old:
            new["created_at_ms"] = envelope.event_time_ms
        entities[envelope.entity] = new
        for table, key, row in rows:
            self.records[table][key] = {**row, "seq": seq}
        self.history.append(dict(
            seq=seq, first_ref=None if seq == event.ref else event.ref, machine=machine.name,
            machine_version=machine.version, entity_id=envelope.entity, version=new["version"],
            prev_seq=old["last_seq"] if old else None, event_type=envelope.type, source=envelope.source,
            message_id=envelope.id, from_state=state, to_state=new["state"], event_time_ms=envelope.event_time_ms,
            topic=record.topic, partition=record.partition, offset=record.offset, via=via,
            data=cj.canonical({p: cj.resolve(envelope.document, p) for p in transition.pointers()})))

    def _wake(self, machine, entity_id):
        """Whole passes over what is parked, in order of the refs, until a pass changes nothing."""
        parked, changed = self.parked[machine.name], True
        while changed and parked.get(entity_id):
            changed, waiting = False, parked[entity_id]
            for event in list(waiting):
                verdict, detail = self._decide(event)
                if verdict != "park":
                    waiting.remove(event)
                    changed = True
                    seq = self._draw() if verdict == "apply" else event.ref
                    self._carry_out(event, verdict, detail, seq, "wake")

    def _sight(self, ref, cause, record):
        self.sightings.append(dict(ref=ref, cause=cause, topic=record.topic, partition=record.partition, offset=record.offset))

    def _quarantine(self, row_id, reason, record, event=None, conflict=(None, None)):
        row = dict(id=row_id, reason=reason, machine=event and event.machine.name, entity_id=event and event.envelope.entity,
                   topic=record.topic, partition=record.partition, offset=record.offset, timestamp_ms=record.timestamp_ms,
                   key=record.key, headers=record.headers, value=record.value, seen=1, status="open",
                   conflict_ref=conflict[0], conflict_fingerprint=conflict[1])
        self.quarantine.append(row)
        return row

    # --- totals ---------------------------------------------------------------------------------------------------

    def business_tables(self):
        """name -> (key column, rows)"""
        tables = {}
        for m in self.machines:
            tables[m.table] = (m.key, list(self.entities[m.name].values()))
            tables.update({t: (key, list(self.records[t].values())) for t, (key, _) in m.records.items()})
        return tables

    def state_hash(self):
        return cj.state_hash(self.business_tables())

    def totals(self):
        return {o: sum(p.counters[o] for p in self.partitions.values()) for o in OUTCOMES}

    def reasons(self):
        """reason -> records quarantined at once or later, repeats counted."""
        count = {}
        for row in self.quarantine:
            count[row["reason"]] = count.get(row["reason"], 0) + row["seen"]
        return count
