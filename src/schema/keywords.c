// SPDX-License-Identifier: Apache-2.0
// See keywords_priv.h.
#include "schema/keywords_priv.h"

#include "json/tape.h"
#include "json/text.h"

#include <ctype.h>
#include <limits.h>
#include <string.h>

#define DISTANCE_LENGTH_MAX 63

static const struct keyword_info keywords[] = {
#define KEYWORD_INFO(id, name, drafts, vocabularies, role, shape) \
    {name, sizeof(name) - 1, drafts, vocabularies, ROLE_##role, SHAPE_##shape},
    KEYWORD_TABLE(KEYWORD_INFO)
#undef KEYWORD_INFO
        [KEYWORD_FALSE] = {"false", 5, 0, 0, ROLE_CHECK, SHAPE_ANY},
};

static const struct {
    const char *name;
    unsigned drafts;
} vocabularies[] = {
#define VOCABULARY_INFO(id, name, drafts) {name, drafts},
    VOCABULARY_TABLE(VOCABULARY_INFO)
#undef VOCABULARY_INFO
};

static const struct {
    const char *name;
    unsigned bit;
} drafts[] = {
    [SCHEMA_DRAFT_2020_12] = {"2020-12", DRAFT_20},
    [SCHEMA_DRAFT_2019_09] = {"2019-09", DRAFT_19},
    [SCHEMA_DRAFT_7] = {"7", DRAFT_7},
    [SCHEMA_DRAFT_6] = {"6", DRAFT_6},
    [SCHEMA_DRAFT_4] = {"4", DRAFT_4},
};

bool schema_draft_parse(const char *name, enum schema_draft *draft_r)
{
    for (size_t i = 0; i < sizeof(drafts) / sizeof(*drafts); i++)
        if (strcmp(drafts[i].name, name) == 0) {
            *draft_r = (enum schema_draft)i;
            return true;
        }
    return false;
}

unsigned keyword_draft_bit(enum schema_draft draft)
{
    return drafts[draft].bit;
}

const char *keyword_draft_name(enum schema_draft draft)
{
    return drafts[draft].name;
}

const char *keyword_vocabulary_name(enum vocabulary vocabulary)
{
    return vocabularies[vocabulary].name;
}

unsigned keyword_vocabulary_drafts(enum vocabulary vocabulary)
{
    return vocabularies[vocabulary].drafts;
}

const struct keyword_info *keyword_info(enum keyword keyword)
{
    return &keywords[keyword];
}

enum keyword keyword_find(const char *name, size_t length)
{
    for (int i = 0; i < KEYWORD_COUNT; i++)
        if (keywords[i].length == length && memcmp(keywords[i].name, name, length) == 0)
            return (enum keyword)i;
    return KEYWORD_COUNT;
}

enum keyword keyword_of_token(const struct tape *tape, uint32_t string)
{
    char room[256];
    size_t length;
    const char *name = tape_string(tape, string, &length);

    if ((tape->tokens[string].flags & TAPE_ESCAPED) != 0) {
        if (length > sizeof(room)) // no keyword has so many escapes
            return KEYWORD_COUNT;
        length = text_unescape(tape, string, room);
        name = room;
    }
    return keyword_find(name, length);
}

bool keyword_is_known(enum keyword keyword, unsigned draft, unsigned in_vocabularies)
{
    const struct keyword_info *info = &keywords[keyword];

    return (info->drafts & draft) != 0 && (info->vocabularies & in_vocabularies) != 0;
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static bool same(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static unsigned distance(const struct spelling *from, const char *name, size_t length)
{
    // Rows of the table of distances between beginnings: two before, the one before, this one.
    unsigned rows[3][DISTANCE_LENGTH_MAX + 1];
    unsigned *before = rows[0], *last = rows[1], *row = rows[2];
    const char *text = from->text;

    if (from->length > DISTANCE_LENGTH_MAX || length > DISTANCE_LENGTH_MAX)
        return UINT_MAX;
    for (size_t k = 0; k <= length; k++)
        row[k] = (unsigned)k;
    for (size_t i = 1; i <= from->length; i++) {
        unsigned *reused = before;
        before = last;
        last = row;
        row = reused;
        row[0] = (unsigned)i;
        for (size_t k = 1; k <= length; k++) {
            unsigned replaced = last[k - 1] + !same(text[i - 1], name[k - 1]);
            row[k] = least(replaced, least(last[k], row[k - 1]) + 1);
            if (i > 1 && k > 1 && same(text[i - 1], name[k - 2]) && same(text[i - 2], name[k - 1]))
                row[k] = least(row[k], before[k - 2] + 1);
        }
    }
    return row[length];
}

void spelling_offer(struct spelling *spelling, const char *name)
{
    size_t length = strlen(name), alike = 0;
    unsigned edits = distance(spelling, name, length);

    while (alike < length && alike < spelling->length && same(name[alike], spelling->text[alike]))
        alike++;
    if (edits > spelling->limit ||
        (edits == spelling->limit && (spelling->nearest == NULL || alike <= spelling->alike)))
        return;
    spelling->limit = edits;
    spelling->alike = alike;
    spelling->nearest = name;
}

// Names that others use for notes of their own, though they look like keywords.
static bool is_known_note(const char *name, size_t length)
{
    static const char *const notes[] = {"example", "note"};

    for (size_t i = 0; i < sizeof(notes) / sizeof(*notes); i++)
        if (strlen(notes[i]) == length && memcmp(notes[i], name, length) == 0)
            return true;
    return length > 2 && memcmp(name, "x-", 2) == 0;
}

const char *keyword_nearest(const char *name, size_t length, unsigned draft_bits)
{
    struct spelling spelling = {.text = name,
                                .length = length,
                                .limit = length < 3    ? 1
                                         : length < 8  ? 2
                                         : length < 14 ? 3
                                                       : 4};

    if (is_known_note(name, length))
        return NULL;
    for (int i = 0; i < KEYWORD_COUNT; i++)
        if ((keywords[i].drafts & draft_bits) != 0)
            spelling_offer(&spelling, keywords[i].name);
    return spelling.nearest;
}
