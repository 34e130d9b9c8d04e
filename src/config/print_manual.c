// SPDX-License-Identifier: Apache-2.0
// config/man/cxsink.json.5: the manual page of the configuration from the settings table, as
// mdoc(7).
#include "config/reference_priv.h"

#include <string.h>

#define LINE_MAX_BYTES 80

static const char top[] =
    ".\\\" SPDX-License-Identifier: Apache-2.0\n"
    ".\\\" Printed from the settings table: CXSINK_REGENERATE=1 build/unit/config/settings_test\n"
    ".Dd November 21, 2026\n"
    ".Dt CXSINK.JSON 5\n"
    ".Os\n"
    ".Sh NAME\n"
    ".Nm cxsink.json\n"
    ".Nd the configuration of cxsink\n"
    ".Sh DESCRIPTION\n";

static const char example[] =
    ".Sh FILES\n"
    ".Bl -tag -width Ds\n"
    ".It Pa /etc/cxsink/cxsink.json\n"
    "The configuration, where neither\n"
    ".Fl c\n"
    "nor\n"
    ".Ev CXSINK_CONFIG\n"
    "names another.\n"
    ".It Pa PREFIX/share/cxsink/cxsink.json , cxsink-jobs.json\n"
    "Examples, commented line by line.\n"
    ".It Pa PREFIX/share/cxsink/cxsink.schema.json\n"
    "JSON Schema of the configuration, from which editors complete.\n"
    ".El\n"
    ".Sh EXAMPLES\n"
    "The least that receives a stream:\n"
    ".Bd -literal -offset indent\n"
    "{\n"
    "  \"auth\": { \"cxone\": {\n"
    "    \"client_id\": { \"env\": \"CXONE_CLIENT_ID\" },\n"
    "    \"client_secret\": { \"env\": \"CXONE_CLIENT_SECRET\" } } },\n"
    "  \"streams\": { \"interactions\": {\n"
    "    \"url\": \"wss://api.cxp.cxone.com/data-actions/v1/stream/${CXONE_STREAM_ID}\",\n"
    "    \"auth\": \"cxone\", \"table\": \"cxone_events\" } },\n"
    "  \"tables\": { \"cxone_events\": {\n"
    "    \"columns\": { \"interaction_id\": \"/interactionId\", \"timestamp\": \"/timestamp\",\n"
    "      \"type\": \"/type\", \"idempotency_key\": \"/idempotencyKey\" },\n"
    "    \"key\": [\"idempotency_key\"], \"newest_by\": \"timestamp\" } },\n"
    "  \"postgres\": { \"dsn\": { \"env\": \"CXSINK_PG_DSN\" } }\n"
    "}\n"
    ".Ed\n"
    ".Sh SEE ALSO\n"
    ".Xr cxsink 1 ,\n"
    ".Xr cxsink-sim 1\n";

// --- text as roff --------------------------------------------------------------------------------

// One word; `...` in it is bold, where a hyphen is a minus sign.
static void append_word(struct buf *out, const char *word, size_t length, bool *bold)
{
    if (word[0] == '.' || word[0] == '\'')
        buf_append_text(out, "\\&"); // no macro where it begins a line
    for (size_t i = 0; i < length; i++) {
        if (word[i] == '`') {
            *bold = !*bold;
            buf_append_text(out, *bold ? "\\fB" : "\\fR");
        } else if (word[i] == '\\') {
            buf_append_text(out, "\\e");
        } else if (word[i] == '-' && *bold) {
            buf_append_text(out, "\\-");
        } else {
            buf_append(out, &word[i], 1);
        }
    }
}

// Lines of a text, filled; a sentence begins a line, as mdoc asks for.
static void append_lines(struct buf *out, const char *text)
{
    bool bold = false;
    size_t start = out->len; // of the line
    while (*text != '\0') {
        size_t length = strcspn(text, " \n");
        if (out->len > start && out->len - start + length + 8 > LINE_MAX_BYTES) {
            buf_append_text(out, "\n");
            start = out->len;
        }
        if (out->len > start)
            buf_append_text(out, " ");
        append_word(out, text, length, &bold);
        bool sentence_ends = length > 1 && text[length - 1] == '.';
        text += length;
        text += strspn(text, " \n");
        if (sentence_ends && *text != '\0') {
            buf_append_text(out, "\n");
            start = out->len;
        }
    }
    buf_append_text(out, "\n");
}

// --- settings ------------------------------------------------------------------------------------

static void print_setting(struct buf *out, const struct setting *s)
{
    struct buf text = {0};
    struct buf otherwise = {0};
    buf_printf(out, ".It Li %s\n", s->path);
    reference_print_type(&text, s);
    reference_print_default(&otherwise, s);
    if (otherwise.len > 0)
        buf_printf(&text, "; %s%s", s->required ? "" : "default ", buf_text(&otherwise));
    buf_printf(&text, ".\n%s%s", s->help, s->restart ? " `restart`" : "");
    append_lines(out, buf_text(&text));
    buf_deinit(&otherwise);
    buf_deinit(&text);
}

void config_print_manual(struct buf *out)
{
    buf_append_text(out, top);
    append_lines(out, reference_rules);
    buf_append_text(out, ".Sh SETTINGS\n.Ss General\n.Bl -tag -width Ds\n");
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *s = &settings_table[i];
        if (reference_is_section(s)) {
            buf_printf(out, ".El\n.Ss %s\n", s->path);
            append_lines(out, s->help);
            buf_append_text(out, ".Bl -tag -width Ds\n");
        } else if (s->type != SETTING_OBJECT) {
            print_setting(out, s);
        }
    }
    buf_append_text(out, ".El\n");
    buf_append_text(out, example);
}
