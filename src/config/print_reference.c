// SPDX-License-Identifier: Apache-2.0
// config/settings.md: the reference from the settings table, one line a setting.
#include "config/reference_priv.h"

#include "config/units.h"

#include <inttypes.h>
#include <string.h>

static const char preamble[] =
    "# Settings\n"
    "\n"
    "Generated from the settings table; `cxsink.schema.json` says the same to editors.\n"
    "\n";

const char reference_rules[] =
    "The file is JSON with `//` and `/* */` comments. `*` stands for a name of your choice.\n"
    "`${NAME}` and `${NAME:-default}` in any string are taken from the environment.\n"
    "Durations are a whole number and one of `us`, `ms`, `s`, `m`, `h`, `d`; sizes one of `B`, "
    "`KB`,\n"
    "`MB`, `GB`, `TB` (powers of 1000), `KiB`, `MiB`, `GiB`, `TiB` (powers of 1024).\n"
    "A secret is a string, or `{\"env\": \"NAME\"}`, `{\"file\": \"PATH\"}` (without its last "
    "newline),\n"
    "`{\"credential\": \"NAME\"}` (a file in systemd's `$CREDENTIALS_DIRECTORY`).\n"
    "Relative paths are relative to the configuration file.\n"
    "Everything is taken on reload (SIGHUP), but for what is marked \"restart\".\n";

static const char *const type_names[SETTING_TYPES] = {
    [SETTING_OBJECT] = "object",
    [SETTING_MAP] = "object",
    [SETTING_ANY] = "any",
    [SETTING_STRING] = "string",
    [SETTING_PATH] = "path",
    [SETTING_SECRET] = "secret",
    [SETTING_URL] = "URL",
    [SETTING_HEADERS] = "object of strings",
    [SETTING_PARAMS] = "object of strings",
    [SETTING_SCHEMAS] = "object of paths",
    [SETTING_STRINGS] = "array of strings",
    [SETTING_BOOLEAN] = "`true`, `false`",
    [SETTING_NUMBER] = "whole number",
    [SETTING_SHARE] = "number, above 0 to 1",
    [SETTING_DURATION] = "duration",
    [SETTING_SIZE] = "size",
    [SETTING_CHOICE] = "one of",
    [SETTING_SYNC] = "`\"always\"`, `\"off\"`, `\"interval:DURATION\"`",
    [SETTING_CODES] = "array of close codes",
    [SETTING_LISTEN] = "address and port",
    [SETTING_RATE] = "rate",
    [SETTING_QUEUE] = "array of jobs",
    [SETTING_COLUMN] = "column",
    [SETTING_COLUMNS] = "object of JSON Pointers",
    [SETTING_AUTH_NAME] = "entry of `auth`",
    [SETTING_API_NAME] = "entry of `jobs.apis`",
    [SETTING_TABLE_NAME] = "entry of `tables`",
    [SETTING_KEY] = "array of columns",
    [SETTING_UPDATE] = "array of columns",
    [SETTING_NEWEST_BY] = "column",
};

static void print_range(struct buf *out, const struct setting *s)
{
    char least[UNITS_TEXT_SIZE];
    char most[UNITS_TEXT_SIZE];
    switch (s->type) {
    case SETTING_NUMBER:
    case SETTING_CODES:
        buf_printf(out, ", %" PRIu64 " to %" PRIu64, s->min, s->max);
        break;
    case SETTING_SYNC:
    case SETTING_DURATION:
        units_duration_format((int64_t)s->min, least);
        units_duration_format((int64_t)s->max, most);
        buf_printf(out, ", %s to %s", least, most);
        break;
    case SETTING_SIZE:
        units_size_format(s->min, least);
        units_size_format(s->max, most);
        buf_printf(out, ", %s to %s", least, most);
        break;
    default:
        break;
    }
}

void reference_print_type(struct buf *out, const struct setting *s)
{
    buf_append_text(out, type_names[s->type]);
    print_range(out, s);
    for (const struct setting_choice *c = s->choices; c != NULL && c->name != NULL; c++)
        buf_printf(out, "%s `\"%s\"`", c == s->choices ? "" : ",", c->name);
    if (s->nullable)
        buf_append_text(out, " or `null`");
}

void reference_print_default(struct buf *out, const struct setting *s)
{
    if (s->required)
        buf_append_text(out, "required");
    else if (s->fallback_help != NULL)
        buf_append_text(out, s->fallback_help);
    else if (s->fallback != NULL)
        buf_printf(out, "`%s`", s->fallback);
}

static void print_row(struct buf *out, const struct setting *s)
{
    buf_printf(out, "| `%s` | ", s->path);
    reference_print_type(out, s);
    buf_append_text(out, " | ");
    reference_print_default(out, s);
    buf_printf(out, " | %s%s |\n", s->help, s->restart ? " *restart*" : "");
}

bool reference_is_section(const struct setting *s)
{
    return strchr(s->path, '.') == NULL && setting_next_child(s, NULL) != NULL;
}

static void print_heading(struct buf *out, const char *title, const char *help)
{
    buf_printf(out, "\n## %s\n\n", title);
    if (help != NULL)
        buf_printf(out, "%s\n\n", help);
    buf_append_text(out, "| setting | type and range | default | what |\n"
                         "| --- | --- | --- | --- |\n");
}

void config_print_reference(struct buf *out)
{
    buf_append_text(out, preamble);
    buf_append_text(out, reference_rules);
    print_heading(out, "General", NULL);
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *s = &settings_table[i];
        if (reference_is_section(s))
            print_heading(out, s->path, s->help);
        else if (s->type != SETTING_OBJECT)
            print_row(out, s);
    }
}
