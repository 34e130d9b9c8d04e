// SPDX-License-Identifier: Apache-2.0
// See keywords_priv.h.
#include "schema/keywords_priv.h"

#include <ctype.h>
#include <string.h>

#define DISTANCE_LENGTH_MAX 63

static const struct keyword_info keywords[] = {
#define KEYWORD_INFO(id, name, drafts, role, shape) {name, drafts, ROLE_##role, SHAPE_##shape},
    KEYWORD_TABLE(KEYWORD_INFO)
#undef KEYWORD_INFO
        [KEYWORD_FALSE] = {"false", 0, ROLE_CHECK, SHAPE_ANY},
};

static const struct {
    const char *name;
    unsigned bit;
} drafts[] = {
    [SCHEMA_DRAFT_2020_12] = {"2020-12", DRAFT_20},
    [SCHEMA_DRAFT_2019_09] = {"2019-09", DRAFT_19},
    [SCHEMA_DRAFT_7] = {"7", DRAFT_7},
    [SCHEMA_DRAFT_6] = {"6", DRAFT_6},
    [SCHEMA_DRAFT_4] = {"4", 0},
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

const struct keyword_info *keyword_info(enum keyword keyword)
{
    return &keywords[keyword];
}

enum keyword keyword_find(const char *name, size_t length)
{
    for (int i = 0; i < KEYWORD_COUNT; i++)
        if (strlen(keywords[i].name) == length && memcmp(keywords[i].name, name, length) == 0)
            return (enum keyword)i;
    return KEYWORD_COUNT;
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static bool same(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

unsigned keyword_distance(const char *a, size_t a_length, const char *b, size_t b_length,
                          unsigned limit)
{
    // Rows of the table of distances between beginnings: two before, the one before, this one.
    unsigned rows[3][DISTANCE_LENGTH_MAX + 1];
    unsigned *before = rows[0], *last = rows[1], *row = rows[2];

    if (a_length > DISTANCE_LENGTH_MAX || b_length > DISTANCE_LENGTH_MAX)
        return limit + 1;
    for (size_t k = 0; k <= b_length; k++)
        row[k] = (unsigned)k;
    for (size_t i = 1; i <= a_length; i++) {
        unsigned *reused = before;
        before = last;
        last = row;
        row = reused;
        row[0] = (unsigned)i;
        for (size_t k = 1; k <= b_length; k++) {
            unsigned replaced = last[k - 1] + !same(a[i - 1], b[k - 1]);
            row[k] = least(replaced, least(last[k], row[k - 1]) + 1);
            if (i > 1 && k > 1 && same(a[i - 1], b[k - 2]) && same(a[i - 2], b[k - 1]))
                row[k] = least(row[k], before[k - 2] + 1);
        }
    }
    return least(row[b_length], limit + 1);
}

const char *keyword_nearest(const char *name, size_t length, unsigned draft_bits)
{
    unsigned best = (unsigned)(length < 9 ? length / 3 : 3) + 1;
    const char *nearest = NULL;

    for (int i = 0; i < KEYWORD_COUNT; i++) {
        const struct keyword_info *info = &keywords[i];
        if ((info->drafts & draft_bits) == 0 || info->role == ROLE_NOT_YET)
            continue;
        unsigned distance = keyword_distance(name, length, info->name, strlen(info->name), best);
        if (distance < best) {
            best = distance;
            nearest = info->name;
        }
    }
    return nearest;
}
