// SPDX-License-Identifier: Apache-2.0
#include "config/suggest.h"

#include <ctype.h>
#include <string.h>

#define LENGTH_MAX 64
#define KNOWN_MAX 240

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static bool same(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

// Optimal string alignment, three rows at a time.
size_t suggest_distance(const char *a, const char *b)
{
    size_t rows[3][LENGTH_MAX + 1];
    size_t n = strnlen(a, LENGTH_MAX);
    size_t m = strnlen(b, LENGTH_MAX);
    for (size_t j = 0; j <= m; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i - 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            row[j] =
                least(above[j - 1] + !same(a[i - 1], b[j - 1]), least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]))
                row[j] = least(row[j], rows[(i - 2) % 3][j - 2] + 1);
        }
    }
    return rows[n % 3][m];
}

void suggest_init(struct suggest *s, const char *wrong)
{
    *s = (struct suggest){.wrong = wrong};
}

void suggest_consider(struct suggest *s, const char *name)
{
    size_t distance = suggest_distance(s->wrong, name);
    size_t longer = strlen(name) > strlen(s->wrong) ? strlen(name) : strlen(s->wrong);
    if (distance <= 1 + longer / 4 && distance < longer &&
        (s->nearest == NULL || distance < s->distance)) {
        s->nearest = name;
        s->distance = distance;
    }
    if (s->cut)
        return;
    s->cut = s->known.len + strlen(name) > KNOWN_MAX;
    buf_printf(&s->known, "%s%s", s->known.len > 0 ? ", " : "", s->cut ? "..." : name);
}

const char *suggest_sentence(struct suggest *s)
{
    struct buf sentence = {0};
    if (s->nearest != NULL)
        buf_printf(&sentence, "did you mean \"%s\"?", s->nearest);
    else if (s->known.len > 0)
        buf_printf(&sentence, "known here: %s", buf_text(&s->known));
    buf_deinit(&s->known);
    s->known = sentence;
    return buf_text(&s->known);
}

void suggest_deinit(struct suggest *s)
{
    buf_deinit(&s->known);
}
