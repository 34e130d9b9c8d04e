// SPDX-License-Identifier: Apache-2.0
// config/cxsink.schema.json: JSON Schema 2020-12 from the settings table. Editors complete from it;
// what it cannot say (references, grants) config_load checks.
#include "config/settings_priv.h"

#include "config/units.h"

#include <inttypes.h>
#include <string.h>

static void print_text(struct buf *out, const char *text)
{
    buf_json_string(out, text, strlen(text));
}

// A member of an object: comma where one came before, new line, name.
static void print_name(struct buf *out, int depth, const char *name)
{
    if (out->data[out->len - 1] != '{')
        buf_append_text(out, ",");
    buf_printf(out, "\n%*s", depth * 2, "");
    print_text(out, name);
    buf_append_text(out, ": ");
}

static void print_member(struct buf *out, int depth, const char *name, const char *json)
{
    print_name(out, depth, name);
    buf_append_text(out, json);
}

static void print_close(struct buf *out, int depth)
{
    buf_printf(out, "\n%*s}", depth * 2, "");
}

// --- one value -----------------------------------------------------------------------------------

static void print_type(struct buf *out, int depth, const struct setting *s, const char *type)
{
    print_name(out, depth, "type");
    buf_printf(out, s->nullable ? "[\"%s\", \"null\"]" : "\"%s\"", type);
}

static void print_string(struct buf *out, int depth, const struct setting *s)
{
    print_type(out, depth, s, "string");
    if (s->type != SETTING_STRING && s->type != SETTING_LISTEN)
        print_member(out, depth, "minLength", "1");
}

static void print_url(struct buf *out, int depth, const struct setting *s)
{
    print_type(out, depth, s, "string");
    print_name(out, depth, "pattern");
    buf_append_text(out, "\"^((");
    for (const char *p = s->schemes; *p != '\0'; p++)
        buf_append(out, *p == ' ' ? "|" : p, 1);
    buf_append_text(out, ")://|.*\\\\$\\\\{)\"");
}

static void print_definition(struct buf *out, int depth, const struct setting *s)
{
    const char *name = s->type == SETTING_SECRET     ? "secret"
                       : s->type == SETTING_DURATION ? "duration"
                                                     : "size";
    if (s->nullable) {
        print_name(out, depth, "anyOf");
        buf_printf(out, "[{\"$ref\": \"#/$defs/%s\"}, {\"type\": \"null\"}]", name);
    } else {
        print_name(out, depth, "$ref");
        buf_printf(out, "\"#/$defs/%s\"", name);
    }
}

static void print_pairs(struct buf *out, int depth, const struct setting *s)
{
    print_type(out, depth, s, "object");
    print_member(out, depth, "additionalProperties", "{\"type\": \"string\"}");
}

static void print_number(struct buf *out, int depth, const struct setting *s)
{
    print_type(out, depth, s, "integer");
    print_name(out, depth, "minimum");
    buf_printf(out, "%" PRIu64, s->min);
    print_name(out, depth, "maximum");
    buf_printf(out, "%" PRIu64, s->max);
}

static void print_share(struct buf *out, int depth, const struct setting *s)
{
    print_type(out, depth, s, "number");
    print_member(out, depth, "exclusiveMinimum", "0");
    print_member(out, depth, "maximum", "1");
}

static void print_choice(struct buf *out, int depth, const struct setting *s)
{
    print_name(out, depth, "anyOf");
    buf_append_text(out, "[{\"enum\": [");
    for (const struct setting_choice *c = s->choices; c->name != NULL; c++)
        buf_printf(out, "%s\"%s\"", c == s->choices ? "" : ", ", c->name);
    buf_append_text(out, "]}, {\"$ref\": \"#/$defs/environment\"}]");
}

static void print_sync(struct buf *out, int depth, const struct setting *s)
{
    (void)s;
    print_member(out, depth, "anyOf",
                 "[{\"enum\": [\"always\", \"off\"]}, {\"type\": \"string\", \"pattern\": "
                 "\"^interval:" UNITS_DURATION_PATTERN
                 "$\"}, {\"$ref\": \"#/$defs/environment\"}]");
}

static void print_codes(struct buf *out, int depth, const struct setting *s)
{
    print_type(out, depth, s, "array");
    print_name(out, depth, "items");
    buf_printf(out, "{\"type\": \"integer\", \"minimum\": %" PRIu64 ", \"maximum\": %" PRIu64 "}",
               s->min, s->max);
}

static void print_columns(struct buf *out, int depth, const struct setting *s)
{
    print_type(out, depth, s, "object");
    print_member(out, depth, "additionalProperties", "{\"$ref\": \"#/$defs/pointer\"}");
}

static void print_names(struct buf *out, int depth, const struct setting *s)
{
    print_type(out, depth, s, "array");
    print_member(out, depth, "items", "{\"type\": \"string\", \"minLength\": 1}");
}

static void print_boolean(struct buf *out, int depth, const struct setting *s)
{
    print_type(out, depth, s, "boolean");
}

static void print_rate(struct buf *out, int depth, const struct setting *s)
{
    print_type(out, depth, s, "string");
    print_member(out, depth, "pattern", "\"^([0-9]+/(s|min|h)|.*\\\\$\\\\{.*)$\"");
}

static void print_queue(struct buf *out, int depth, const struct setting *s)
{
    print_type(out, depth, s, "array");
    print_member(out, depth, "items", "{\"type\": \"object\", \"required\": [\"id\", \"action\"]}");
}

static void print_any(struct buf *out, int depth, const struct setting *s)
{
    (void)out;
    (void)depth;
    (void)s;
}

static void print_object(struct buf *out, int depth, const struct setting *parent);

static void print_map(struct buf *out, int depth, const struct setting *s);

// clang-format off
static void (*const printers[SETTING_TYPES])(struct buf *, int, const struct setting *) = {
    [SETTING_OBJECT] = print_object,
    [SETTING_MAP] = print_map,
    [SETTING_ANY] = print_any,
    [SETTING_STRING] = print_string,
    [SETTING_PATH] = print_string,
    [SETTING_SECRET] = print_definition,
    [SETTING_URL] = print_url,
    [SETTING_HEADERS] = print_pairs,
    [SETTING_PARAMS] = print_pairs,
    [SETTING_SCHEMAS] = print_pairs,
    [SETTING_STRINGS] = print_names,
    [SETTING_BOOLEAN] = print_boolean,
    [SETTING_NUMBER] = print_number,
    [SETTING_SHARE] = print_share,
    [SETTING_DURATION] = print_definition,
    [SETTING_SIZE] = print_definition,
    [SETTING_CHOICE] = print_choice,
    [SETTING_SYNC] = print_sync,
    [SETTING_CODES] = print_codes,
    [SETTING_LISTEN] = print_string,
    [SETTING_RATE] = print_rate,
    [SETTING_QUEUE] = print_queue,
    [SETTING_COLUMN] = print_string,
    [SETTING_COLUMNS] = print_columns,
    [SETTING_AUTH_NAME] = print_string,
    [SETTING_API_NAME] = print_string,
    [SETTING_TABLE_NAME] = print_string,
    [SETTING_KEY] = print_names,
    [SETTING_UPDATE] = print_names,
    [SETTING_NEWEST_BY] = print_string,
};
// clang-format on

static void print_setting(struct buf *out, int depth, const struct setting *s)
{
    buf_append_text(out, "{");
    print_name(out, depth + 1, "description");
    print_text(out, s->help);
    printers[s->type](out, depth + 1, s);
    if (s->fallback != NULL)
        print_member(out, depth + 1, "default", s->fallback);
    if (s->example != NULL) {
        print_name(out, depth + 1, "examples");
        buf_printf(out, "[%s]", s->example);
    }
    print_close(out, depth);
}

// --- objects -------------------------------------------------------------------------------------

static void print_required(struct buf *out, int depth, const struct setting *parent)
{
    struct buf names = {0};
    for (const struct setting *s = setting_next_child(parent, NULL); s != NULL;
         s = setting_next_child(parent, s)) {
        if (s->required)
            buf_printf(&names, "%s\"%s\"", names.len > 0 ? ", " : "", setting_name(s));
    }
    if (names.len > 0) {
        print_name(out, depth, "required");
        buf_printf(out, "[%s]", buf_text(&names));
    }
    buf_deinit(&names);
}

static void print_object(struct buf *out, int depth, const struct setting *parent)
{
    print_member(out, depth, "type",
                 parent != NULL && parent->nullable ? "[\"object\", \"null\"]" : "\"object\"");
    print_required(out, depth, parent);
    print_member(out, depth, "additionalProperties", "false");
    print_name(out, depth, "properties");
    buf_append_text(out, "{");
    for (const struct setting *s = setting_next_child(parent, NULL); s != NULL;
         s = setting_next_child(parent, s)) {
        print_name(out, depth + 1, setting_name(s));
        print_setting(out, depth + 1, s);
    }
    print_close(out, depth);
}

static void print_map(struct buf *out, int depth, const struct setting *s)
{
    print_member(out, depth, "type", "\"object\"");
    print_name(out, depth, "additionalProperties");
    print_setting(out, depth, setting_next_child(s, NULL));
}

// --- the whole -----------------------------------------------------------------------------------

struct definition {
    const char *name;
    const char *json;
};

#define ONE_MEMBER(name)                                                                     \
    "{\"type\": \"object\", \"required\": [\"" name "\"], \"additionalProperties\": false, " \
    "\"properties\": {\"" name "\": {\"type\": \"string\", \"minLength\": 1}}}"

static const struct definition definitions[] = {
    {"environment", "{\"description\": \"${NAME} or ${NAME:-default}, from the environment.\", "
                    "\"type\": \"string\", \"pattern\": \"\\\\$\\\\{[A-Za-z_]\"}"},
    {"duration", "{\"type\": \"string\", \"pattern\": \"^(" UNITS_DURATION_PATTERN
                 "|.*\\\\$\\\\{.*)$\", \"examples\": [\"250ms\", \"30s\", \"2h\"]}"},
    {"size", "{\"type\": \"string\", \"pattern\": \"^(" UNITS_SIZE_PATTERN
             "|.*\\\\$\\\\{.*)$\", \"examples\": [\"512KiB\", \"4GiB\"]}"},
    {"pointer", "{\"description\": \"JSON Pointer (RFC 6901).\", \"type\": \"string\", "
                "\"pattern\": \"^((/([^~/]|~[01])*)*|.*\\\\$\\\\{.*)$\"}"},
    {"secret", "{\"description\": \"The secret itself, or where it is: an environment variable, a "
               "file, a credential of systemd.\", \"anyOf\": [{\"type\": \"string\"}, " ONE_MEMBER(
                   "env") ", " ONE_MEMBER("file") ", " ONE_MEMBER("credential") "]}"},
};

void config_print_schema(struct buf *out)
{
    buf_append_text(out, "{");
    print_member(out, 1, "$schema", "\"https://json-schema.org/draft/2020-12/schema\"");
    print_member(out, 1, "title", "\"cxsink configuration\"");
    print_member(out, 1, "description",
                 "\"JSON with // and /* */ comments. Generated from cxsink's settings table.\"");
    print_object(out, 1, NULL);
    print_name(out, 1, "$defs");
    buf_append_text(out, "{");
    for (size_t i = 0; i < sizeof(definitions) / sizeof(definitions[0]); i++)
        print_member(out, 2, definitions[i].name, definitions[i].json);
    print_close(out, 1);
    print_close(out, 0);
    buf_append_text(out, "\n");
}
