"""A machine file (DESIGN 4): loading it, and the total (state, event) table with apply / stale / park / reject.

Only what the model needs is checked at load; that every wrong file is refused is the C tests' business, not the oracle's.
"""
import json
import re
from dataclasses import dataclass, field

import yaml

import canonical as cj

NONE = "none"                       # the state of an entity that does not exist
COMPARISONS = {
    "equals": lambda left, right: left == right,
    "at_most": lambda left, right: left <= right,
    "at_least": lambda left, right: left >= right,
}


class LoadError(ValueError):
    pass


class CoreLoader(yaml.SafeLoader):
    """YAML core schema: `no` and `12:30` stay strings; duplicate keys are refused."""
    yaml_implicit_resolvers = {}

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(k, deep=True) for k, _ in node.value]
        if len(set(keys)) != len(keys):
            raise LoadError("duplicate key in %s" % node.start_mark)
        return super().construct_mapping(node, deep)


for tag, pattern, first in [
        ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
        ("int", r"[-+]?[0-9]+", "-+0123456789"),
        ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
        ("null", r"null|Null|NULL|~|", ["n", "N", "~", ""])]:
    CoreLoader.add_implicit_resolver("tag:yaml.org,2002:" + tag, re.compile("^(?:" + pattern + ")$"), list(first))


def load_yaml(path):
    with open(path, encoding="utf-8") as file:
        return yaml.load(file, CoreLoader)


# --- operands -----------------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Operand:
    """A pointer, a column, a constant or a sum of operands."""
    kind: str
    value: object

    def pointers(self):
        if self.kind == "sum":
            return [p for o in self.value for p in o.pointers()]
        return [self.value] if self.kind == "pointer" else []

    def evaluate(self, document, columns):
        """None where a column is NULL; a sum with NULL is NULL."""
        if self.kind == "pointer":
            found = cj.resolve(document, self.value)
            return None if found is cj.ABSENT else found
        if self.kind == "column":
            return columns.get(self.value)
        if self.kind == "constant":
            return self.value
        parts = [o.evaluate(document, columns) for o in self.value]
        return None if None in parts else sum(parts)

    def type(self, columns):
        if self.kind == "column":
            return columns[self.value].type
        if self.kind == "constant":
            return "text" if isinstance(self.value, str) else "integer"
        return "integer" if self.kind == "sum" else None


def operand(spec, columns):
    if isinstance(spec, dict) and "sum" in spec:
        return Operand("sum", tuple(operand(s, columns) for s in spec["sum"]))
    if isinstance(spec, dict) and "const" in spec:
        return Operand("constant", spec["const"])
    if isinstance(spec, str) and spec.startswith("/"):
        return Operand("pointer", spec)
    if isinstance(spec, str) and spec in columns:
        return Operand("column", spec)
    if isinstance(spec, (int, str)) and not isinstance(spec, bool):
        return Operand("constant", spec)
    raise LoadError("no operand: %r" % (spec,))


# --- columns ------------------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Column:
    type: str = "text"
    default: object = None
    range: tuple = ()                # ((name, limit), …) of min, max, length, min_length, max_length

    @staticmethod
    def of(spec):
        if isinstance(spec, str):
            spec = {"type": spec}
        limits = ("min", "max", "length", "min_length", "max_length")
        return Column(spec["type"], spec.get("default"), tuple((k, spec[k]) for k in limits if k in spec))

    def has_type(self, value):
        return has_type(self.type, value)

    def in_range(self, value):
        if self.type == "integer" and abs(value) > cj.SAFE_INTEGER:
            return False
        measure = {"min": lambda n: value >= n, "max": lambda n: value <= n, "length": lambda n: len(value) == n,
                   "min_length": lambda n: len(value) >= n, "max_length": lambda n: len(value) <= n}
        return all(measure[name](limit) for name, limit in self.range)


def has_type(kind, value):
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= cj.SAFE_INTEGER
    return isinstance(value, str)


# --- transitions and the machine ----------------------------------------------------------------------------------

@dataclass
class Transition:
    sources: list                    # the states of `from`
    to: str
    require: list                    # [(operand, comparison, operand)]
    set: dict                        # column -> operand
    add: dict
    record: dict                     # table -> {column -> operand}

    def target(self, state):
        return state if self.to == "same" else self.to

    def operands(self):
        for left, _, right in self.require:
            yield from (left, right)
        yield from self.set.values()
        yield from self.add.values()
        for row in self.record.values():
            yield from row.values()

    def pointers(self):
        return sorted({p for o in self.operands() for p in o.pointers()})


@dataclass
class Machine:
    name: str
    version: int
    topics: list
    message: dict
    claim: dict
    table: str
    key: str
    columns: dict                    # entity column -> Column
    records: dict                    # table -> (key column, {column -> Column, the key too})
    states: list
    events: dict                     # type -> [Transition]
    park: dict
    unknown: str
    tombstones: str
    filter: list
    overrides: dict                  # (state, event) -> verdict
    source: dict                     # the file as loaded
    table_of: dict = field(default_factory=dict)      # (state, event) -> apply | stale | park | reject
    needs: dict = field(default_factory=dict)         # event -> {pointer -> [(type, Column or None)]}

    def space(self, event):
        return self.claim_of(event)["space"]

    def claim_of(self, event):
        """The claim rule of an event type: the machine's, with what the type overrides."""
        spec = self.source["events"].get(event)
        return {**self.claim, **spec["claim"]} if isinstance(spec, dict) and "claim" in spec else self.claim

    def rule(self, event):
        """What makes two fingerprint rules the same one."""
        claim = self.claim_of(event)
        return json.dumps([claim["fingerprint"], claim.get("ignore", [])])

    def transition(self, state, event):
        return next(t for t in self.events[event] if state in t.sources)

    def reachable(self, start, less=None):
        """States reachable from `start`, without the edges of the event `less`."""
        seen, todo = {start}, [start]
        while todo:
            state = todo.pop()
            for event, transitions in self.events.items():
                for t in transitions:
                    if event != less and state in t.sources and t.target(state) not in seen:
                        seen.add(t.target(state))
                        todo.append(t.target(state))
        return seen


def load(path_or_dict):
    """A Machine from a file or from a loaded tree."""
    spec = path_or_dict if isinstance(path_or_dict, dict) else load_yaml(path_or_dict)
    columns = {name: Column.of(c) for name, c in spec["entity"].get("columns", {}).items()}
    known = {**columns, spec["entity"]["key"]: Column()}
    records = {}
    for table, record in (spec.get("records") or {}).items():
        own = {name: Column.of(c) for name, c in (record.get("columns") or {}).items()}
        records[table] = (record["key"], {record["key"]: own.get(record["key"], Column()), **own})
    events = {}
    for event, body in spec["events"].items():
        body = body["transitions"] if isinstance(body, dict) else body
        events[event] = [transition(t, known) for t in body]
    overrides = {(o["state"], o["event"]): o["do"] for o in spec.get("overrides") or []}
    machine = Machine(
        spec["machine"], spec["version"], spec["topics"], spec["message"], spec["claim"], spec["entity"]["table"],
        spec["entity"]["key"], columns, records, list(spec["states"]), events, spec.get("park") or {},
        spec.get("unknown", "quarantine"), spec.get("tombstones", "quarantine"), spec.get("filter") or [], overrides, spec)
    machine.table_of = cells(machine)
    machine.needs = {event: needed_values(machine, event) for event in events}
    return machine


def transition(spec, columns):
    sources = spec["from"] if isinstance(spec["from"], list) else [spec["from"]]
    require = []
    for rule in spec.get("require") or []:
        comparison = next(c for c in COMPARISONS if c in rule)
        require.append((operand(rule["left"], columns), comparison, operand(rule[comparison], columns)))
    return Transition(
        sources, spec["to"], require,
        {name: operand(o, columns) for name, o in (spec.get("set") or {}).items()},
        {name: operand(o, columns) for name, o in (spec.get("add") or {}).items()},
        {table: {name: operand(o, columns) for name, o in row.items()} for table, row in (spec.get("record") or {}).items()})


def cells(machine):
    """The total table. Ambiguous cells need an override; an override anywhere else is an error."""
    table, left = {}, dict(machine.overrides)
    for event, transitions in machine.events.items():
        sources = [s for t in transitions for s in t.sources]
        if len(set(sources)) != len(sources):
            raise LoadError("%s: one state in two `from`" % event)
        possible_without = machine.reachable(NONE, less=event)
        for state in [NONE, *machine.states]:
            stale = state not in possible_without
            park = any(s in machine.reachable(state) for s in sources)
            if state in sources:
                table[state, event] = "apply"
            elif stale and park:
                if (state, event) not in left:
                    raise LoadError("cell (%s, %s) is both stale and park" % (state, event))
                table[state, event] = left.pop((state, event))
            else:
                table[state, event] = "stale" if stale else "park" if park else "reject"
    if left:
        raise LoadError("override of a cell that needs none: %s" % sorted(left))
    return table


def needed_values(machine, event):
    """pointer -> [(type, Column with the range or None)], by where the value goes or what it is compared with."""
    known = {**machine.columns, machine.key: Column()}
    needs = {}

    def need(o, kind, column=None):
        for pointer in o.pointers():
            needs.setdefault(pointer, []).append((kind if o.kind == "pointer" else "integer", column))

    for t in machine.events[event]:
        for left, _, right in t.require:
            need(left, right.type(known) or "text")
            need(right, left.type(known) or "text")
        for name, o in t.set.items():
            need(o, known[name].type, known[name] if o.kind == "pointer" else None)
        for o in t.add.values():
            need(o, "integer")
        for table, row in t.record.items():
            for name, o in row.items():
                column = machine.records[table][1][name]
                need(o, column.type, column if o.kind == "pointer" else None)
    return needs
