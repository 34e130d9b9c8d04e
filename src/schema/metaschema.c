// SPDX-License-Identifier: Apache-2.0
// The drafts' own meta-schemas, written when somebody refers to one: from the table of keywords, so
// that there is no second list of them. What a keyword's value must be is told by its shape.
#include "schema/compile_priv.h"

#include <string.h>

#define SITE "json-schema.org/"

// In the texts below, "@" stands for a reference to the meta-schema as such, "~" for where its
// definitions are.
static const char *const shapes[] = {
    [SHAPE_ANY] = "{}",
    [SHAPE_BOOLEAN] = "{\"type\":\"boolean\"}",
    [SHAPE_STRING] = "{\"type\":\"string\"}",
    [SHAPE_URI] = "{\"type\":\"string\",\"format\":\"uri\"}",
    [SHAPE_URI_REFERENCE] = "{\"type\":\"string\",\"format\":\"uri-reference\"}",
    [SHAPE_ID] = "{\"type\":\"string\",\"format\":\"uri-reference\",\"pattern\":\"^[^#]*#?$\"}",
    [SHAPE_REGEX] = "{\"type\":\"string\",\"format\":\"regex\"}",
    [SHAPE_ANCHOR] = "{\"$ref\":\"~anchorString\"}",
    [SHAPE_NUMBER] = "{\"type\":\"number\"}",
    [SHAPE_POSITIVE] = "{\"type\":\"number\",\"exclusiveMinimum\":0}",
    [SHAPE_EXCLUSIVE] = "{\"type\":\"number\"}",
    [SHAPE_COUNT] = "{\"$ref\":\"~nonNegativeInteger\"}",
    [SHAPE_ARRAY] = "{\"type\":\"array\"}",
    [SHAPE_TYPES] = "{\"anyOf\":[{\"$ref\":\"~simpleTypes\"},{\"type\":\"array\",\"items\":"
                    "{\"$ref\":\"~simpleTypes\"},\"minItems\":1,\"uniqueItems\":true}]}",
    [SHAPE_NAMES] = "{\"$ref\":\"~stringArray\"}",
    [SHAPE_NAMES_MAP] = "{\"type\":\"object\",\"additionalProperties\":"
                        "{\"$ref\":\"~stringArray\"}}",
    [SHAPE_SCHEMA] = "@",
    [SHAPE_ADDITIONAL] = "@",
    [SHAPE_SCHEMAS] = "{\"$ref\":\"~schemaArray\"}",
    [SHAPE_SCHEMA_MAP] = "{\"type\":\"object\",\"additionalProperties\":@}",
    [SHAPE_PATTERN_MAP] = "{\"type\":\"object\",\"additionalProperties\":@,\"propertyNames\":"
                          "{\"format\":\"regex\"}}",
    [SHAPE_ITEMS] = "{\"anyOf\":[@,{\"$ref\":\"~schemaArray\"}]}",
    [SHAPE_DEPENDENCIES] = "{\"type\":\"object\",\"additionalProperties\":{\"anyOf\":[@,"
                           "{\"$ref\":\"~stringArray\"}]}}",
    [SHAPE_VOCABULARIES] = "{\"type\":\"object\",\"propertyNames\":{\"format\":\"uri\"},"
                           "\"additionalProperties\":{\"type\":\"boolean\"}}",
};

// What differs in some drafts.
static const struct {
    enum keyword_shape shape;
    unsigned drafts;
    const char *text;
} other_shapes[] = {
    {SHAPE_ID, DRAFT_6 | DRAFT_7, "{\"type\":\"string\",\"format\":\"uri-reference\"}"},
    {SHAPE_ITEMS, DRAFT_20, "@"},
    {SHAPE_POSITIVE, DRAFT_4, "{\"type\":\"number\",\"minimum\":0,\"exclusiveMinimum\":true}"},
    {SHAPE_EXCLUSIVE, DRAFT_4, "{\"type\":\"boolean\"}"},
    {SHAPE_ADDITIONAL, DRAFT_4, "{\"anyOf\":[{\"type\":\"boolean\"},@]}"},
    {SHAPE_PATTERN_MAP, DRAFT_4, "{\"type\":\"object\",\"additionalProperties\":@}"},
    {SHAPE_ARRAY, DRAFT_4, "{\"type\":\"array\",\"minItems\":1,\"uniqueItems\":true}"},
};

static const char definitions[] =
    "{\"schemaArray\":{\"type\":\"array\",\"minItems\":1,\"items\":@},"
    "\"nonNegativeInteger\":{\"type\":\"integer\",\"minimum\":0},"
    "\"nonNegativeIntegerDefault0\":{\"$ref\":\"~nonNegativeInteger\"},"
    "\"anchorString\":{\"type\":\"string\",\"pattern\":\"^[A-Za-z_][-A-Za-z0-9._]*$\"},"
    "\"simpleTypes\":{\"enum\":[\"array\",\"boolean\",\"integer\",\"null\",\"number\",\"object\","
    "\"string\"]},"
    "\"stringArray\":{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"uniqueItems\":true}}";
static const char definitions_4[] =
    "{\"schemaArray\":{\"type\":\"array\",\"minItems\":1,\"items\":@},"
    "\"nonNegativeInteger\":{\"$ref\":\"~positiveInteger\"},"
    "\"positiveInteger\":{\"type\":\"integer\",\"minimum\":0},"
    "\"positiveIntegerDefault0\":{\"$ref\":\"~positiveInteger\"},"
    "\"simpleTypes\":{\"enum\":[\"array\",\"boolean\",\"integer\",\"null\",\"number\",\"object\","
    "\"string\"]},"
    "\"stringArray\":{\"type\":\"array\",\"minItems\":1,\"items\":{\"type\":\"string\"},"
    "\"uniqueItems\":true}}";

static const struct standard {
    const char *uri; // behind the scheme
    enum schema_draft draft;
    const char *self;        // "@"
    const char *definitions; // "~"
    const char *anchor;      // members that make it extensible
    const char *folder;      // of the meta-schemas and URIs of vocabularies; NULL: it has none
} standards[] = {
    {SITE "draft/2020-12/schema", SCHEMA_DRAFT_2020_12, "{\"$dynamicRef\":\"#meta\"}", "#/$defs/",
     "\"$dynamicAnchor\":\"meta\",", SITE "draft/2020-12/"},
    {SITE "draft/2019-09/schema", SCHEMA_DRAFT_2019_09, "{\"$recursiveRef\":\"#\"}", "#/$defs/",
     "\"$recursiveAnchor\":true,", SITE "draft/2019-09/"},
    {SITE "draft-07/schema", SCHEMA_DRAFT_7, "{\"$ref\":\"#\"}", "#/definitions/", "", NULL},
    {SITE "draft-06/schema", SCHEMA_DRAFT_6, "{\"$ref\":\"#\"}", "#/definitions/", "", NULL},
    {SITE "draft-04/schema", SCHEMA_DRAFT_4, "{\"$ref\":\"#\"}", "#/definitions/", "", NULL},
};

#define N_STANDARDS (sizeof(standards) / sizeof(*standards))

// Takes "http://" or "https://" off the front.
static bool take_scheme(const char **uri, size_t *length)
{
    size_t skip = *length > 8 && memcmp(*uri, "https://", 8) == 0  ? 8
                  : *length > 7 && memcmp(*uri, "http://", 7) == 0 ? 7
                                                                   : 0;

    *uri += skip;
    *length -= skip;
    return skip > 0;
}

static bool is_text(const char *text, size_t length, const char *wanted)
{
    return strlen(wanted) == length && memcmp(text, wanted, length) == 0;
}

bool metaschema_draft(const char *uri, size_t length, enum schema_draft *draft_r)
{
    if (length > 0 && uri[length - 1] == '#')
        length--;
    if (!take_scheme(&uri, &length))
        return false;
    for (size_t i = 0; i < N_STANDARDS; i++)
        if (is_text(uri, length, standards[i].uri)) {
            *draft_r = standards[i].draft;
            return true;
        }
    return false;
}

// The standard whose folder's `part` ("vocab/", "meta/") the URI is in, and the vocabulary.
static const struct standard *find_vocabulary(const char *uri, size_t length, const char *part,
                                              enum vocabulary *vocabulary_r)
{
    *vocabulary_r = VOCABULARY_COUNT;
    if (!take_scheme(&uri, &length))
        return NULL;
    for (const struct standard *s = standards; s < standards + N_STANDARDS; s++) {
        size_t folder = s->folder != NULL ? strlen(s->folder) : SIZE_MAX;
        size_t skip = folder + strlen(part);
        if (s->folder == NULL || length <= skip || memcmp(uri, s->folder, folder) != 0 ||
            memcmp(uri + folder, part, skip - folder) != 0)
            continue;
        for (int i = 0; i < VOCABULARY_COUNT; i++)
            if ((keyword_vocabulary_drafts((enum vocabulary)i) & keyword_draft_bit(s->draft)) !=
                    0 &&
                is_text(uri + skip, length - skip, keyword_vocabulary_name((enum vocabulary)i))) {
                *vocabulary_r = (enum vocabulary)i;
                return s;
            }
    }
    return NULL;
}

enum vocabulary metaschema_vocabulary(const char *uri, size_t length, enum schema_draft *draft_r)
{
    enum vocabulary vocabulary;
    const struct standard *standard = find_vocabulary(uri, length, "vocab/", &vocabulary);

    if (standard != NULL)
        *draft_r = standard->draft;
    return vocabulary;
}

// --- writing -------------------------------------------------------------------------------------

static void write_text(struct buf *out, const struct standard *standard, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '@')
            buf_append_text(out, standard->self);
        else if (*text == '~')
            buf_append_text(out, standard->definitions);
        else
            buf_append(out, text, 1);
    }
}

static void write_shape(struct buf *out, const struct standard *standard, enum keyword_shape shape)
{
    unsigned draft = keyword_draft_bit(standard->draft);
    const char *text = shapes[shape];

    for (size_t i = 0; i < sizeof(other_shapes) / sizeof(*other_shapes); i++)
        if (other_shapes[i].shape == shape && (other_shapes[i].drafts & draft) != 0)
            text = other_shapes[i].text;
    write_text(out, standard, text);
}

// Is the keyword one of the document for these vocabularies (0: the document for all)?
static bool is_listed(const struct standard *standard, enum keyword keyword, unsigned vocabularies)
{
    const struct keyword_info *info = keyword_info(keyword);
    bool is_old = keyword == KEYWORD_DEFINITIONS || keyword == KEYWORD_DEPENDENCIES;

    if ((info->drafts & keyword_draft_bit(standard->draft)) == 0)
        return false;
    if (standard->folder == NULL)
        return keyword != KEYWORD_DEFS;
    return vocabularies == 0 ? is_old : !is_old && (info->vocabularies & vocabularies) != 0;
}

static void write_properties(struct buf *out, const struct standard *standard,
                             unsigned vocabularies)
{
    const char *comma = "";

    buf_append_text(out, "\"properties\":{");
    for (int i = 0; i < KEYWORD_COUNT; i++)
        if (is_listed(standard, (enum keyword)i, vocabularies)) {
            buf_printf(out, "%s\"%s\":", comma, keyword_info((enum keyword)i)->name);
            write_shape(out, standard, keyword_info((enum keyword)i)->shape);
            comma = ",";
        }
    buf_append_text(out, "}");
}

// "allOf" and "$vocabulary" of a draft that is put together from vocabularies.
static void write_vocabularies(struct buf *out, const struct standard *standard)
{
    unsigned left_out = 1u << VOCABULARY_FORMAT_ASSERTS; // the drafts' own schemas only annotate

    for (int part = 0; part < 2; part++) {
        const char *comma = "";
        buf_append_text(out, part == 0 ? "\"$vocabulary\":{" : "\"allOf\":[");
        for (int i = 0; i < VOCABULARY_COUNT; i++) {
            const char *name = keyword_vocabulary_name((enum vocabulary)i);
            if ((keyword_vocabulary_drafts((enum vocabulary)i) &
                 keyword_draft_bit(standard->draft)) == 0 ||
                (left_out >> i & 1) != 0)
                continue;
            if (part == 0)
                buf_printf(out, "%s\"https://%svocab/%s\":%s", comma, standard->folder, name,
                           i == VOCABULARY_FORMAT ? "false" : "true");
            else
                buf_printf(out, "%s{\"$ref\":\"meta/%s\"}", comma, name);
            comma = ",";
        }
        buf_append_text(out, part == 0 ? "}," : "],");
    }
}

static void write_document(struct buf *out, const struct standard *standard, const char *uri,
                           size_t length, unsigned vocabularies)
{
    bool is_4 = standard->draft == SCHEMA_DRAFT_4;
    int shown = (int)length;

    buf_printf(out, "{\"$schema\":\"http%s://%s%s\",\"%s\":\"%.*s\",%s",
               standard->folder != NULL ? "s" : "", standard->uri,
               standard->folder != NULL ? "" : "#", is_4 ? "id" : "$id", shown, uri,
               standard->anchor);
    if (standard->folder != NULL && vocabularies == 0)
        write_vocabularies(out, standard);
    buf_append_text(out, is_4 ? "\"type\":\"object\",\"dependencies\":{\"exclusiveMaximum\":"
                                "[\"maximum\"],\"exclusiveMinimum\":[\"minimum\"]},"
                              : "\"type\":[\"object\",\"boolean\"],");
    write_properties(out, standard, vocabularies);
    buf_printf(out, ",\"%s\":", standard->folder != NULL ? "$defs" : "definitions");
    write_text(out, standard, is_4 ? definitions_4 : definitions);
    buf_append_text(out, "}");
}

bool metaschema_write(const char *uri, size_t length, struct buf *out)
{
    enum vocabulary vocabulary;
    const struct standard *standard = find_vocabulary(uri, length, "meta/", &vocabulary);
    enum schema_draft draft;

    if (standard != NULL) {
        unsigned bits = 1u << vocabulary;
        if (vocabulary == VOCABULARY_APPLICATOR && standard->draft == SCHEMA_DRAFT_2019_09)
            bits |= IN_UNEVALUATED;
        write_document(out, standard, uri, length, bits);
        return true;
    }
    if (!metaschema_draft(uri, length, &draft))
        return false;
    for (standard = standards; standard->draft != draft; standard++) {
    }
    write_document(out, standard, uri, length, 0);
    return true;
}

enum status_code metaschema_lookup(const struct schema_options *options, const char *uri,
                                   struct buf *made, struct schema_source *source_r,
                                   struct status *st)
{
    enum status_code code = STATUS_NOT_FOUND;

    if (options->lookup != NULL)
        code = options->lookup(options->lookup_data, uri, source_r, st);
    if (code != STATUS_NOT_FOUND || !metaschema_write(uri, strlen(uri), made))
        return code;
    *source_r = (struct schema_source){.text = made->data, .length = made->len, .name = uri};
    return STATUS_OK;
}
