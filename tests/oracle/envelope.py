"""From a Kafka record to an envelope: CloudEvents (structured, binary) and explicit formats. Steps 2 to 4 up to the time.

`decode` gives an Envelope or raises Rejected with the reason of DESIGN 3. The type is checked by the caller between
`decode` and `Envelope.identify`, because an unknown type (step 3) is judged before a missing id (step 4).
"""
import datetime
import re
from dataclasses import dataclass, field
from typing import NamedTuple, Optional

import canonical as cj


class Record(NamedTuple):
    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: Optional[bytes]
    headers: list            # [(name, bytes or None)]
    value: Optional[bytes]


class Rejected(Exception):
    def __init__(self, reason, detail=""):
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(\.\d+)?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII)
_EPOCH = datetime.datetime(1970, 1, 1)


def parse_time(text):
    """RFC 3339 to milliseconds since 1970, fractions cut off; None where it is not RFC 3339."""
    found = _TIME.fullmatch(text)
    if not found:
        return None
    year, month, day, hour, minute, second = (int(g) for g in found.groups()[:6])
    leap = second == 60
    try:
        moment = datetime.datetime(year, month, day, hour, minute, 59 if leap else second)
    except ValueError:
        return None
    millis = (moment - _EPOCH) // datetime.timedelta(milliseconds=1) + (1000 if leap else 0)
    millis += int((found[7] or ".")[1:4].ljust(3, "0"))
    if found[8]:
        hours, minutes = int(found[9]), int(found[10])
        if hours > 23 or minutes > 59:
            return None
        millis -= (1 if found[8] == "+" else -1) * (hours * 60 + minutes) * 60_000
    return millis


@dataclass
class Envelope:
    document: dict                        # what pointers resolve against
    record: Record
    where: dict                           # attribute -> "/pointer", "header:NAME" or "key"
    type: str
    mode: str = ""
    id: Optional[str] = None
    source: Optional[str] = None
    entity: Optional[str] = None
    time_ms: Optional[int] = None         # the event's own time; None where it has none
    _cache: dict = field(default_factory=dict)

    @property
    def event_time_ms(self):
        return self.record.timestamp_ms if self.time_ms is None else self.time_ms

    def look(self, place):
        """The value at a pointer, a header, the key, or an attribute by its name; ABSENT where there is none."""
        if place in self.where and place != "key":
            place = self.where[place]
        return look(self.document, self.record, place)

    def identify(self):
        """Step 4, keys first: id, source, entity; then the time."""
        for name in ("id", "source", "entity"):
            if name in self.where:
                setattr(self, name, require_name(self.look(name), name))
        when = self.look("time") if "time" in self.where else cj.ABSENT
        if when is not cj.ABSENT and when is not None:
            self.time_ms = parse_time(when) if isinstance(when, str) else None
            if self.time_ms is None:
                raise Rejected("malformed", "time is not RFC 3339")


def require_name(value, name):
    if value is cj.ABSENT or value is None or value == "":
        raise Rejected("missing_key", "no " + name)
    if not isinstance(value, str):
        raise Rejected("malformed", name + " is not a string")
    return value


def look(document, record, place):
    if place.startswith("/"):
        return cj.resolve(document, place)
    if place == "key":
        return cj.ABSENT if record.key is None else utf8(record.key)
    if place.startswith("header:"):
        name = place[len("header:"):]
        values = [v for n, v in record.headers if n == name]
        if len(values) > 1:
            raise Rejected("malformed", "header comes twice: " + name)
        return utf8(values[0]) if values and values[0] is not None else cj.ABSENT
    raise ValueError("no such place: " + place)


def utf8(data):
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Rejected("malformed", "not UTF-8") from error
    if "\0" in text:
        raise Rejected("malformed", "a NUL character")
    return text


def parse_json(value):
    try:
        return cj.parse(value)
    except cj.BadJson as error:
        raise Rejected("malformed", str(error)) from error


def decode(record, message):
    """Step 2. `message` is the machine file's section of that name."""
    if message.get("format") == "cloudevents":
        mode, document = cloudevent(record.headers, record.value)
        where = {name: "/" + name for name in ("type", "id", "source", "time")}
    else:
        mode, document = "explicit", parse_json(record.value)
        if not isinstance(document, dict):
            raise Rejected("malformed", "not an object")
        where = {name: message[name] for name in ("type", "id", "source", "time") if name in message}
    where["entity"] = message["entity"]
    kind = look(document, record, where["type"])
    if not isinstance(kind, str) or kind == "":
        raise Rejected("malformed", "no type")
    return Envelope(document, record, where, kind, mode)


# --- CloudEvents 1.0, Kafka protocol binding ----------------------------------------------------------------------

def cloudevent(headers, value):
    """(mode, the event as one JSON object in structured form). `value` None is a binary event without data."""
    seen, attributes, content_type = set(), {}, None
    for name, data in headers:
        name = name.lower()
        if name != "content-type" and not name.startswith("ce_"):
            continue
        if name in seen:
            raise Rejected("malformed", name + " comes twice")
        seen.add(name)
        if name == "content-type":
            content_type = None if data is None else utf8(data)
        elif re.fullmatch("[a-z0-9]+", name[3:]) and data is not None:
            attributes[name[3:]] = data
    media = None if content_type is None else content_type.split(";")[0].strip().lower()
    if media is not None and media.startswith("application/cloudevents"):
        if media not in ("application/cloudevents", "application/cloudevents+json"):
            raise Rejected("malformed", "unsupported format " + media)
        return "structured", versioned(parse_json(value or b""))
    if media is None and value is not None:
        try:
            document = cj.parse(value)
        except cj.BadJson:
            document = None
        if isinstance(document, dict) and "specversion" in document:
            return "structured", versioned(document)
    return "binary", versioned(binary(attributes, content_type, media, value))


def binary(attributes, content_type, media, value):
    document = {name: utf8(data) for name, data in attributes.items() if name not in ("data", "datacontenttype")}
    if content_type is not None:
        document["datacontenttype"] = content_type
    if value is None:
        return document
    if media is None or media in ("application/json", "text/json") or media.endswith("+json"):
        document["data"] = parse_json(value)
    else:
        try:
            document["data"] = utf8(value)
        except Rejected:
            document["data_base64"] = value.hex()        # nothing resolves into it, so its text does not matter
    return document


def versioned(document):
    if not isinstance(document, dict):
        raise Rejected("malformed", "not an object")
    if document.get("specversion") != "1.0":
        raise Rejected("malformed", "specversion is not 1.0")
    return document
