// SPDX-License-Identifier: Apache-2.0
// Equality of values: numbers by value, strings unescaped, objects without regard to order. Hashes
// that respect it keep uniqueItems from comparing every two elements.
#include "schema/validate_priv.h"

#include "core/hash.h"
#include "core/mem.h"
#include "json/number.h"
#include "json/text.h"

#include <stdlib.h>
#include <string.h>

// Up to so many elements are compared two by two, and so many members searched for one by one.
#define TWINS_SMALL 64
#define MEMBERS_SMALL 32

struct hashed {
    uint64_t hash;
    uint32_t token;
};

static uint64_t mix(uint64_t a, uint64_t b)
{
    // Not the same for (b, a), nor 0 for (a, a): empty arrays within arrays tell as much apart.
    a = ((a << 29 | a >> 35) + UINT64_C(0xd6e8feb86659fd93)) ^ b;
    a *= UINT64_C(0x9e3779b97f4a7c15);
    return (a ^ a >> 32) * UINT64_C(0xbf58476d1ce4e5b9);
}

// --- hashes --------------------------------------------------------------------------------------

// Not inlined: its room must not lie on the stack of every level of equal_hash().
__attribute__((noinline)) static uint64_t hash_string(const struct tape *tape, uint32_t string,
                                                      uint64_t seed)
{
    char room[1024];
    size_t length;
    const char *text = tape_string(tape, string, &length);

    if ((tape->tokens[string].flags & TAPE_ESCAPED) == 0)
        return hash_bytes(text, length, seed);
    char *plain = length <= sizeof(room) ? room : mem_alloc(length);
    length = text_unescape(tape, string, plain);
    uint64_t hash = hash_bytes(plain, length, seed);
    if (plain != room)
        free(plain);
    return hash;
}

// Of the exponent's digits; saturated, as no text is long enough to tell the difference.
static int64_t exponent_of(const char *p, const char *end)
{
    bool negative = p < end && *p == '-';
    int64_t value = 0;

    if (p < end && (*p == '-' || *p == '+'))
        p++;
    for (; p < end; p++)
        if (value < INT64_C(1) << 56)
            value = value * 10 + (*p - '0');
    return negative ? -value : value;
}

// Equal numbers have the same significant digits, sign and place of the first digit.
static uint64_t hash_number(const struct tape *tape, uint32_t number, uint64_t seed)
{
    size_t length;
    const char *p = tape_raw(tape, number, &length);
    const char *end = p + length;
    bool negative = *p == '-', fraction = false;
    int64_t place = 0; // digits before the point, from the first that is not 0
    uint64_t hash = seed, zeros = 0;
    bool any = false;

    for (p += negative; p < end && (*p | 0x20) != 'e'; p++) {
        if (*p == '.') {
            fraction = true;
            continue;
        }
        any = any || *p != '0';
        if (any)
            place += !fraction;
        else
            place -= fraction;
        if (!any)
            continue;
        if (*p == '0') {
            zeros++; // count only when another digit follows
            continue;
        }
        hash =
            mix(hash, zeros << 8 | (uint64_t)*p); // whole: no text of more digits comes out alike
        zeros = 0;
    }
    if (!any)
        return mix(seed, 1);
    if (p < end)
        place += exponent_of(p + 1, end);
    return mix(hash, (uint64_t)place * 2 + negative);
}

uint64_t equal_hash(const struct tape *tape, uint32_t token, uint64_t seed)
{
    const struct tape_token *t = &tape->tokens[token];
    uint64_t hash = mix(seed, t->kind);

    switch ((enum tape_kind)t->kind) {
    case TAPE_NULL:
    case TAPE_FALSE:
    case TAPE_TRUE:
        break;
    case TAPE_NUMBER:
        return hash_number(tape, token, hash);
    case TAPE_STRING:
        return hash_string(tape, token, hash);
    case TAPE_ARRAY:
        for (uint32_t i = token + 1; i != t->next; i = tape->tokens[i].next)
            hash = mix(hash, equal_hash(tape, i, seed));
        break;
    case TAPE_OBJECT:
        for (uint32_t key = token + 1; key != t->next; key = tape->tokens[key + 1].next)
            hash += mix(hash_string(tape, key, seed), equal_hash(tape, key + 1, seed));
        break;
    }
    return hash;
}

// --- equality ------------------------------------------------------------------------------------

static int by_hash(const void *a, const void *b)
{
    const struct hashed *x = a, *y = b;

    return x->hash < y->hash ? -1 : x->hash > y->hash;
}

// Members of the object by the hash of their names; the caller frees it.
static struct hashed *index_members(const struct tape *tape, uint32_t object, uint64_t seed)
{
    uint32_t n = 0;
    struct hashed *index = mem_realloc_array(NULL, tape->tokens[object].count, sizeof(*index));

    for (uint32_t key = object + 1; key != tape->tokens[object].next;
         key = tape->tokens[key + 1].next)
        index[n++] = (struct hashed){hash_string(tape, key, seed), key};
    qsort(index, n, sizeof(*index), by_hash);
    return index;
}

static uint32_t find_in_index(const struct hashed *index, uint32_t n, const struct tape *tape,
                              const struct tape *names, uint32_t name, uint64_t hash)
{
    uint32_t low = 0, high = n;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (index[middle].hash < hash)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < n && index[low].hash == hash; low++)
        if (text_strings_equal(tape, index[low].token, names, name))
            return index[low].token;
    return TAPE_NONE;
}

static uint32_t find_key(const struct tape *tape, uint32_t object, const struct tape *names,
                         uint32_t name)
{
    for (uint32_t key = object + 1; key != tape->tokens[object].next;
         key = tape->tokens[key + 1].next)
        if (tape->tokens[key].hash == names->tokens[name].hash &&
            text_strings_equal(tape, key, names, name))
            return key;
    return TAPE_NONE;
}

// Both have the same number of members. They mostly come in the same order; from the first that
// does not, they are searched for.
static bool equal_objects(const struct tape *a, uint32_t i, const struct tape *b, uint32_t k)
{
    struct hashed *index = NULL;
    uint64_t seed = (uint64_t)(uintptr_t)a->tokens; // not the event's to choose
    uint32_t n = b->tokens[k].count;
    uint32_t next = k + 1;
    bool same = true;

    for (uint32_t key = i + 1; same && key != a->tokens[i].next; key = a->tokens[key + 1].next) {
        uint32_t found = TAPE_NONE;
        if (next != b->tokens[k].next && text_strings_equal(a, key, b, next)) {
            found = next;
        } else if (n <= MEMBERS_SMALL) {
            found = find_key(b, k, a, key);
        } else {
            if (index == NULL)
                index = index_members(b, k, seed);
            found = find_in_index(index, n, b, a, key, hash_string(a, key, seed));
        }
        same = found != TAPE_NONE && equal_values(a, key + 1, b, found + 1);
        if (same)
            next = b->tokens[found + 1].next;
    }
    free(index);
    return same;
}

static bool equal_numbers(const struct tape *a, uint32_t i, const struct tape *b, uint32_t k)
{
    size_t length_a, length_b;
    const char *text_a = tape_raw(a, i, &length_a);
    const char *text_b = tape_raw(b, k, &length_b);

    return number_compare(text_a, length_a, text_b, length_b) == 0;
}

bool equal_values(const struct tape *a, uint32_t i, const struct tape *b, uint32_t k)
{
    const struct tape_token *x = &a->tokens[i], *y = &b->tokens[k];

    if (x->kind != y->kind)
        return false;
    switch ((enum tape_kind)x->kind) {
    case TAPE_NULL:
    case TAPE_FALSE:
    case TAPE_TRUE:
        return true;
    case TAPE_NUMBER:
        return equal_numbers(a, i, b, k);
    case TAPE_STRING:
        return text_strings_equal(a, i, b, k);
    case TAPE_ARRAY:
        if (x->count != y->count)
            return false;
        for (uint32_t p = i + 1, q = k + 1; p != x->next;
             p = a->tokens[p].next, q = b->tokens[q].next)
            if (!equal_values(a, p, b, q))
                return false;
        return true;
    case TAPE_OBJECT:
        return x->count == y->count && equal_objects(a, i, b, k);
    }
    return false;
}

// --- uniqueItems ---------------------------------------------------------------------------------

static bool twins_small(const struct tape *tape, uint32_t array, uint64_t seed, uint32_t *first_r,
                        uint32_t *second_r)
{
    struct hashed seen[TWINS_SMALL];
    uint32_t n = 0;

    for (uint32_t i = array + 1; i != tape->tokens[array].next; i = tape->tokens[i].next) {
        seen[n] = (struct hashed){equal_hash(tape, i, seed), i};
        for (uint32_t k = 0; k < n; k++)
            if (seen[k].hash == seen[n].hash && equal_values(tape, seen[k].token, tape, i)) {
                *first_r = seen[k].token;
                *second_r = i;
                return true;
            }
        n++;
    }
    return false;
}

// Looks for an equal of the element in the table, else puts it in.
static uint32_t find_or_put(struct hashed *table, uint32_t mask, const struct tape *tape,
                            struct hashed element)
{
    uint32_t slot = equal_slot(element.hash, mask);

    for (; table[slot].token != 0; slot = (slot + 1) & mask)
        if (table[slot].hash == element.hash &&
            equal_values(tape, table[slot].token, tape, element.token))
            return table[slot].token;
    table[slot] = element;
    return TAPE_NONE;
}

bool equal_find_twins(const struct tape *tape, uint32_t array, uint64_t seed, uint32_t *first_r,
                      uint32_t *second_r)
{
    uint32_t size = 2 * TWINS_SMALL;
    bool found = false;

    if (tape->tokens[array].count <= TWINS_SMALL)
        return twins_small(tape, array, seed, first_r, second_r);
    while (size / 2 < tape->tokens[array].count)
        size *= 2;
    struct hashed *table = mem_zalloc(size * sizeof(*table));
    for (uint32_t i = array + 1; !found && i != tape->tokens[array].next;
         i = tape->tokens[i].next) {
        struct hashed element = {equal_hash(tape, i, seed), i};
        uint32_t twin = find_or_put(table, size - 1, tape, element);
        found = twin != TAPE_NONE;
        *first_r = twin;
        *second_r = i;
    }
    free(table);
    return found;
}
