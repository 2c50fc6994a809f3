#include "model/machine_option.h"

#include "base/limits.h"
#include "model/machine_form.h"

static const char *const column_types[] = {"integer", "text", NULL};
static const char *const type_integer[] = {"integer", NULL};
static const char *const type_text[] = {"text", NULL};
static const char *const policies[] = {"quarantine", "filter", NULL};
static const char *const decisions[] = {"stale", "park", "reject", NULL};
static const char *const cloudevents[] = {"cloudevents", NULL};
static const char *const explicit_format[] = {"explicit", NULL};

/* Columns: "text", or an object that its type tells apart. */
static const struct ow_option column_word = {
    .name = "type", .kind = OW_OPTION_WORD, .words = column_types};

static const struct ow_option integer_members[] = {
    OW_OPTION("type", WORD, .words = type_integer, .required = true,
              .text = "An integer within 2^53."),
    OW_OPTION("min", INTEGER, .text = "The smallest value that is accepted."),
    OW_OPTION("max", INTEGER, .text = "The largest value that is accepted."),
    OW_OPTION("default", INTEGER, .text = "The value of a new entity (not for records)."),
    OW_OPTION("index", BOOL, .fallback = "false",
              .text = "Whether to keep an index on the column."),
    OW_OPTION_END,
};

static const struct ow_option text_members[] = {
    OW_OPTION("type", WORD, .words = type_text, .required = true, .text = "UTF-8 text."),
    OW_OPTION("length", INTEGER, .min = 1, .max = OW_RECORD_BYTES_DEFAULT, .unit = "characters",
              .text = "Just so many characters; instead of min_length and max_length."),
    OW_OPTION("min_length", INTEGER, .min = 1, .max = OW_RECORD_BYTES_DEFAULT, .unit = "characters",
              .text = "At least so many characters."),
    OW_OPTION("max_length", INTEGER, .min = 1, .max = OW_RECORD_BYTES_DEFAULT, .unit = "characters",
              .text = "At most so many characters."),
    OW_OPTION("default", TEXT, .text = "The value of a new entity (not for records)."),
    OW_OPTION("index", BOOL, .fallback = "false",
              .text = "Whether to keep an index on the column."),
    OW_OPTION_END,
};

static const struct ow_option integer_column = {.name = "integer",
                                                .kind = OW_OPTION_OBJECT,
                                                .members = integer_members,
                                                .shared = "integer_column"};
static const struct ow_option text_column = {
    .name = "text", .kind = OW_OPTION_OBJECT, .members = text_members, .shared = "text_column"};
static const struct ow_option *const column_choices[] = {&column_word, &integer_column,
                                                         &text_column, NULL};
static const struct ow_option column = {.name = "<column>",
                                        .kind = OW_OPTION_CHOICE,
                                        .choices = column_choices,
                                        .text = "A column: its type alone, or with a range."};

static const struct ow_option entity_members[] = {
    OW_OPTION("table", TEXT, .form = &ow_form_table, .required = true,
              .text = "The table with one row for each entity."),
    OW_OPTION("key", TEXT, .form = &ow_form_column, .required = true,
              .text = "The column with the entity's id."),
    OW_OPTION("columns", MAP, .form = &ow_form_column, .item = &column, .max = OW_TABLE_COLUMNS_MAX,
              .text = "The business columns, which events set and add to."),
    OW_OPTION_END,
};

static const struct ow_option record_members[] = {
    OW_OPTION("key", TEXT, .form = &ow_form_column, .required = true,
              .text = "The column with the record's unique key."),
    OW_OPTION("columns", MAP, .form = &ow_form_column, .item = &column, .max = OW_TABLE_COLUMNS_MAX,
              .text = "The columns; whatever records a row gives a value for each."),
    OW_OPTION_END,
};
static const struct ow_option record_table = {
    .name = "<table>",
    .kind = OW_OPTION_OBJECT,
    .members = record_members,
    .text = "An append-only table with a unique key of its own."};

static const struct ow_option state_members[] = {
    OW_OPTION_END,
};
static const struct ow_option state = {.name = "<state>",
                                       .kind = OW_OPTION_OBJECT,
                                       .members = state_members,
                                       .text = "A state; there is nothing to say about it yet."};

/* Claims: of the machine, and of a single event. */
static const struct ow_option part = {
    .name = "<part>", .kind = OW_OPTION_TEXT, .form = &ow_form_part};
static const struct ow_option pointer = {
    .name = "<pointer>", .kind = OW_OPTION_TEXT, .form = &ow_form_pointer};
static const struct ow_option claim_members[] = {
    OW_OPTION("space", TEXT, .min = 1, .max = 255,
              .text = "The namespace of the keys; default: the machine's name."),
    OW_OPTION("key", LIST, .item = &part, .min = 1, .max = 16, .fallback = "[source, id]",
              .text =
                  "What makes a message the same message: attributes, pointers, header:NAME, key."),
    OW_OPTION("fingerprint", LIST, .item = &part, .min = 1, .max = 64, .fallback = "[type, /data]",
              .text = "What a redelivery must not change; with format explicit it must be given."),
    OW_OPTION("ignore", LIST, .item = &pointer, .max = 64,
              .text = "Pointers that the fingerprint leaves out."),
    OW_OPTION("retention", DURATION, .min = 1, .max = INT64_C(100000) * 86400000, .fallback = "45d",
              .text = "How long claims are kept."),
    OW_OPTION_END,
};

static const struct ow_option cloudevents_members[] = {
    OW_OPTION("format", WORD, .words = cloudevents, .required = true,
              .text = "CloudEvents 1.0 in Kafka, structured or binary."),
    OW_OPTION("entity", TEXT, .form = &ow_form_entity, .required = true,
              .text = "Where the entity's id is."),
    OW_OPTION_END,
};
static const struct ow_option explicit_members[] = {
    OW_OPTION("format", WORD, .words = explicit_format, .required = true,
              .text = "JSON, with the places of the attributes said here."),
    OW_OPTION("type", TEXT, .form = &ow_form_place, .required = true,
              .text = "Where the event's type is."),
    OW_OPTION("id", TEXT, .form = &ow_form_place, .required = true,
              .text = "Where the message's id is."),
    OW_OPTION("source", TEXT, .form = &ow_form_place, .text = "Where the message's source is."),
    OW_OPTION("time", TEXT, .form = &ow_form_place,
              .text = "Where the event's time is (RFC 3339); else Kafka's."),
    OW_OPTION("entity", TEXT, .form = &ow_form_place, .required = true,
              .text = "Where the entity's id is."),
    OW_OPTION_END,
};
static const struct ow_option message_cloudevents = {
    .name = "cloudevents", .kind = OW_OPTION_OBJECT, .members = cloudevents_members};
static const struct ow_option message_explicit = {
    .name = "explicit", .kind = OW_OPTION_OBJECT, .members = explicit_members};
static const struct ow_option *const message_choices[] = {&message_cloudevents, &message_explicit,
                                                          NULL};

/* Operands: an integer, a text (a pointer, a column, or else a constant), a sum, a constant that is
 * said to be one. */
static const struct ow_option integer_operand = {.name = "<integer>", .kind = OW_OPTION_INTEGER};
static const struct ow_option text_operand = {.name = "<text>", .kind = OW_OPTION_TEXT};
static const struct ow_option *const constant_choices[] = {&integer_operand, &text_operand, NULL};
static const struct ow_option constant_members[] = {
    OW_OPTION("const", CHOICE, .choices = constant_choices, .required = true,
              .text = "A constant, also where it looks like a column or a pointer."),
    OW_OPTION_END,
};
static const struct ow_option constant_operand = {
    .name = "<const>", .kind = OW_OPTION_OBJECT, .members = constant_members, .shared = "constant"};
static const struct ow_option *const term_choices[] = {&integer_operand, &text_operand,
                                                       &constant_operand, NULL};
static const struct ow_option term = {
    .name = "<term>", .kind = OW_OPTION_CHOICE, .choices = term_choices};
static const char *const sum_or_const[] = {"sum", "const", NULL};
static const struct ow_option composed_members[] = {
    OW_OPTION("sum", LIST, .item = &term, .min = 1, .max = 16,
              .text = "The sum of columns, pointers and integers."),
    OW_OPTION("const", CHOICE, .choices = constant_choices,
              .text = "A constant, also where it looks like a column or a pointer."),
    OW_OPTION_END,
};
static const struct ow_option composed_operand = {.name = "<composed>",
                                                  .kind = OW_OPTION_OBJECT,
                                                  .members = composed_members,
                                                  .exactly_one = sum_or_const};
static const struct ow_option *const operand_choices[] = {&integer_operand, &text_operand,
                                                          &composed_operand, NULL};

static const char *const comparisons[] = {"equals", "at_most", "at_least", NULL};
static const struct ow_option requirement_members[] = {
    OW_OPTION(
        "left", CHOICE, .choices = operand_choices, .shared = "operand", .required = true,
        .text =
            "An integer; /a/pointer; the name of a column; {sum: […]}; {const: X}; any other text "
            "is a constant."),
    OW_OPTION("equals", CHOICE, .choices = operand_choices, .shared = "operand",
              .text = "Left is equal to this."),
    OW_OPTION("at_most", CHOICE, .choices = operand_choices, .shared = "operand",
              .text = "Left is this or less."),
    OW_OPTION("at_least", CHOICE, .choices = operand_choices, .shared = "operand",
              .text = "Left is this or more."),
    OW_OPTION_END,
};
static const struct ow_option requirement = {.name = "<requirement>",
                                             .kind = OW_OPTION_OBJECT,
                                             .members = requirement_members,
                                             .exactly_one = comparisons};
static const struct ow_option value = {
    .name = "<column>", .kind = OW_OPTION_CHOICE, .choices = operand_choices, .shared = "operand"};
static const struct ow_option row = {
    .name = "<table>",
    .kind = OW_OPTION_MAP,
    .form = &ow_form_column,
    .item = &value,
    .text = "A row of the table: each of its columns and its key, with an operand."};

static const struct ow_option from_state = {.name = "<state>", .kind = OW_OPTION_TEXT, .min = 1};
static const struct ow_option from_states = {
    .name = "<states>", .kind = OW_OPTION_LIST, .item = &from_state, .min = 1};
static const struct ow_option *const from_choices[] = {&from_state, &from_states, NULL};

static const struct ow_option transition_members[] = {
    OW_OPTION("from", CHOICE, .choices = from_choices, .required = true,
              .text = "A state or a list of states; none: the entity is not there yet."),
    OW_OPTION("to", TEXT, .min = 1, .required = true, .text = "A state, or same."),
    OW_OPTION("require", LIST, .item = &requirement, .max = 64,
              .text = "What must hold; otherwise the event is quarantined (guard)."),
    OW_OPTION("set", MAP, .form = &ow_form_column, .item = &value,
              .text = "Columns of the entity that get a value."),
    OW_OPTION("add", MAP, .form = &ow_form_column, .item = &value,
              .text = "Integer columns of the entity that grow by a value."),
    OW_OPTION("record", MAP, .form = &ow_form_table, .item = &row,
              .text = "Rows that are recorded."),
    OW_OPTION_END,
};
static const struct ow_option transition = {.name = "<transition>",
                                            .kind = OW_OPTION_OBJECT,
                                            .members = transition_members,
                                            .shared = "transition"};
static const struct ow_option transitions = {.name = "transitions",
                                             .kind = OW_OPTION_LIST,
                                             .item = &transition,
                                             .min = 1,
                                             .max = OW_EVENT_TRANSITIONS_MAX};
static const struct ow_option event_members[] = {
    OW_OPTION("claim", OBJECT, .members = claim_members, .shared = "claim",
              .text = "How this event is claimed, where it differs from the machine's claim."),
    OW_OPTION("transitions", LIST, .item = &transition, .min = 1, .max = OW_EVENT_TRANSITIONS_MAX,
              .required = true, .text = "What the event does, from which states."),
    OW_OPTION_END,
};
static const struct ow_option event_object = {
    .name = "event", .kind = OW_OPTION_OBJECT, .members = event_members};
static const struct ow_option *const event_choices[] = {&transitions, &event_object, NULL};
static const struct ow_option event = {
    .name = "<event type>",
    .kind = OW_OPTION_CHOICE,
    .choices = event_choices,
    .text = "Its transitions, or an object with claim and transitions."};

static const struct ow_option park_members[] = {
    OW_OPTION("deadline", DURATION, .min = 1, .max = INT64_C(100000) * 86400000, .fallback = "72h",
              .text = "How long an early event waits before it is quarantined (park_timeout)."),
    OW_OPTION("per_entity", INTEGER, .min = 1, .max = 1024, .fallback = "32", .unit = "records",
              .text =
                  "How many events of an entity may wait; the next one is quarantined (overflow)."),
    OW_OPTION_END,
};

static const struct ow_option override_members[] = {
    OW_OPTION("state", TEXT, .min = 1, .required = true, .text = "The state of the cell."),
    OW_OPTION("event", TEXT, .min = 1, .required = true, .text = "The event type of the cell."),
    OW_OPTION("do", WORD, .words = decisions, .required = true,
              .text = "What the event does there."),
    OW_OPTION_END,
};
static const struct ow_option override = {
    .name = "<override>", .kind = OW_OPTION_OBJECT, .members = override_members};

static const struct ow_option topic = {
    .name = "<topic>", .kind = OW_OPTION_TEXT, .form = &ow_form_topic};
static const struct ow_option type = {.name = "<type>", .kind = OW_OPTION_TEXT, .min = 1};

static const struct ow_option machine_members[] = {
    OW_OPTION("machine", TEXT, .form = &ow_form_machine, .required = true,
              .text = "The machine's name."),
    OW_OPTION(
        "version", INTEGER, .min = 1, .max = OW_INTEGER_MAX, .required = true,
        .text =
            "Counts up with each change of the file; a store refuses a changed file with an old "
            "version."),
    OW_OPTION("topics", LIST, .item = &topic, .min = 1, .max = 64, .required = true,
              .text = "The Kafka topics whose events it knows."),
    OW_OPTION("message", CHOICE, .choices = message_choices, .required = true,
              .text = "How a record is read: told apart by format."),
    OW_OPTION("claim", OBJECT, .members = claim_members, .shared = "claim",
              .text = "What makes two messages the same, and for how long that is remembered."),
    OW_OPTION("entity", OBJECT, .members = entity_members, .required = true,
              .text = "The business object with a state and a version."),
    OW_OPTION("records", MAP, .form = &ow_form_table, .item = &record_table, .max = 64,
              .text = "Append-only business tables that events write."),
    OW_OPTION("states", MAP, .form = &ow_form_state, .item = &state, .min = 1,
              .max = OW_MACHINE_STATES_MAX - 1, .required = true,
              .text = "The states; 'none' is the one before the first event."),
    OW_OPTION("events", MAP, .form = &ow_form_type, .item = &event, .min = 1,
              .max = OW_MACHINE_EVENTS_MAX, .required = true, .text = "The event types."),
    OW_OPTION("park", OBJECT, .members = park_members, .text = "Events that come too early wait."),
    OW_OPTION("unknown", WORD, .words = policies, .fallback = "quarantine",
              .text = "What to do with a type that no machine of the topic knows."),
    OW_OPTION("tombstones", WORD, .words = policies, .fallback = "quarantine",
              .text = "What to do with a record without a value."),
    OW_OPTION("filter", LIST, .item = &type, .max = 256, .text = "Types that are passed over."),
    OW_OPTION("overrides", LIST, .item = &override, .max = 1024,
              .text = "Decides the cells that would fit both stale and park, and no others."),
    OW_OPTION_END,
};

static const struct ow_option root = {
    .name = "machine file", .kind = OW_OPTION_OBJECT, .members = machine_members};

const struct ow_option *ow_machine_options(void)
{
    return &root;
}
