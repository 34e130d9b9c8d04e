// SPDX-License-Identifier: Apache-2.0
// The forms in which `cxsink validate` tells what it finds.
#include "cli/common.h"
#include "cli/validate_priv.h"

#include <string.h>

// Names of members come from the events: no control character of theirs reaches a terminal.
static void append_text(struct buf *out, const char *text)
{
    cli_append_plain(out, text, strlen(text), false);
}

void validate_append_member(struct buf *out, const char *name, const char *value)
{
    bool first = out->len == 0 || out->data[out->len - 1] == '{';

    buf_printf(out, "%s\"%s\":", first ? "" : ",", name);
    if (value == NULL)
        buf_append_text(out, "null");
    else
        buf_json_string(out, value, strlen(value));
}

static void append_line(const struct validate_fault *fault, struct buf *out)
{
    append_text(out, fault->instance);
    buf_append_text(out, ": ");
    append_text(out, fault->message);
    buf_printf(out, " (%s", fault->keyword);
    if (fault->schema != NULL) {
        buf_append_text(out, " at ");
        append_text(out, fault->schema);
    }
    buf_append_text(out, ")");
}

static void append_object(const struct validate_fault *fault, struct buf *out)
{
    validate_append_member(out, "instance", fault->instance);
    validate_append_member(out, "schema", fault->schema);
    validate_append_member(out, "keyword", fault->keyword);
    validate_append_member(out, "message", fault->message);
    validate_append_member(out, "location", fault->location);
    if (fault->beneath > 0)
        buf_printf(out, ",\"beneath\":%u", fault->beneath);
    buf_append_text(out, "}");
}

// An output unit: JSON Schema Core 2020-12, section 12.3.
static void append_unit(const struct validate_fault *fault, struct buf *out)
{
    buf_append_text(out, "{\"valid\":false");
    validate_append_member(out, "keywordLocation", fault->location != NULL ? fault->location : "");
    if (fault->uri != NULL)
        validate_append_member(out, "absoluteKeywordLocation", fault->uri);
    validate_append_member(out, "instanceLocation", fault->instance);
    validate_append_member(out, "error", fault->message);
    buf_append_text(out, "}");
}

void validate_append_fault(enum validate_form form, const struct validate_fault *fault,
                           struct buf *out)
{
    switch (form) {
    case VALIDATE_TEXT:
        append_line(fault, out);
        return;
    case VALIDATE_JSON:
        append_object(fault, out);
        return;
    case VALIDATE_BASIC:
        append_unit(fault, out);
        return;
    }
}
