// SPDX-License-Identifier: Apache-2.0
#include "json/members_priv.h"

#include "core/hash.h"
#include "core/mem.h"
#include "json/scan_priv.h"
#include "json/tape.h"
#include "json/text.h"

// Up to this many members names may be compared one by one, beyond it a table is used.
#define SMALL_OBJECT 32

uint32_t tape_hash(const char *name, size_t length)
{
    return scan_fingerprint(name, length);
}

uint32_t tape_member(const struct tape *tape, uint32_t object, const char *name, size_t length,
                     uint32_t hash)
{
    const struct tape_token *tokens = tape->tokens;
    if (tokens[object].kind != TAPE_OBJECT)
        return TAPE_NONE;
    uint32_t end = tokens[object].next;
    for (uint32_t key = object + 1; key != end; key = tokens[key + 1].next) {
        if (tokens[key].hash == hash && text_string_equals(tape, key, name, length))
            return key + 1;
    }
    return TAPE_NONE;
}

uint32_t tape_element(const struct tape *tape, uint32_t array, uint32_t n)
{
    const struct tape_token *tokens = tape->tokens;
    if (tokens[array].kind != TAPE_ARRAY || n >= tokens[array].count)
        return TAPE_NONE;
    uint32_t i = array + 1;
    while (n-- > 0)
        i = tokens[i].next;
    return i;
}

// What a key stands for: in the text itself, or unescaped in the scratch bytes.
static const char *key_bytes(struct tape *tape, uint32_t key, size_t *length_r)
{
    const char *raw = tape_string(tape, key, length_r);
    if ((tape->tokens[key].flags & TAPE_ESCAPED) == 0)
        return raw;
    if (*length_r > tape->cap_scratch) {
        tape->cap_scratch = (uint32_t)*length_r * 2;
        tape->scratch = mem_realloc(tape->scratch, tape->cap_scratch);
    }
    *length_r = text_unescape(tape, key, tape->scratch);
    return tape->scratch;
}

uint32_t members_escaped_hash(struct tape *tape, uint32_t key)
{
    size_t length;
    const char *bytes = key_bytes(tape, key, &length);
    return scan_fingerprint(bytes, length);
}

static bool came_before(const struct tape *tape, uint32_t object, uint32_t key)
{
    const struct tape_token *tokens = tape->tokens;
    for (uint32_t other = object + 1; other != key; other = tokens[other + 1].next) {
        if (tokens[other].hash == tokens[key].hash && text_strings_equal(tape, other, tape, key))
            return true;
    }
    return false;
}

// Each fingerprint falls on one of 64 bits; only where that is taken the names before are looked
// at.
static uint32_t small_duplicate(const struct tape *tape, uint32_t object)
{
    const struct tape_token *tokens = tape->tokens;
    uint32_t end = tokens[object].next;
    uint64_t taken = 0;
    for (uint32_t key = object + 1; key != end; key = tokens[key + 1].next) {
        uint64_t bit = UINT64_C(1) << (tokens[key].hash & 63);
        if ((taken & bit) != 0 && came_before(tape, object, key))
            return key;
        taken |= bit;
    }
    return TAPE_NONE;
}

// Empties a table of at least twice `count` slots, a power of two. Returns its mask.
static uint32_t prepare_table(struct tape *tape, uint32_t count)
{
    uint32_t slots = 4 * SMALL_OBJECT;
    while (slots / 2 < count)
        slots *= 2;
    if (slots > tape->cap_table) {
        tape->table = mem_realloc_array(tape->table, slots, sizeof(*tape->table));
        tape->cap_table = slots;
    }
    memset(tape->table, 0, slots * sizeof(*tape->table));
    return slots - 1;
}

// Open addressing with linear probing; the hash is seeded, so that nobody can craft names that
// make this slow. A slot holds a key's token index, which is never 0.
static uint32_t large_duplicate(struct tape *tape, uint32_t object)
{
    const struct tape_token *tokens = tape->tokens;
    uint32_t mask = prepare_table(tape, tokens[object].count);
    uint32_t end = tokens[object].next;
    for (uint32_t key = object + 1; key != end; key = tokens[key + 1].next) {
        size_t length;
        const char *bytes = key_bytes(tape, key, &length);
        uint32_t slot = (uint32_t)hash_bytes(bytes, length, tape->seed) & mask;
        for (; tape->table[slot] != 0; slot = (slot + 1) & mask) {
            uint32_t other = tape->table[slot];
            if (tokens[other].hash == tokens[key].hash &&
                text_strings_equal(tape, other, tape, key))
                return key;
        }
        tape->table[slot] = key;
    }
    return TAPE_NONE;
}

uint32_t members_duplicate(struct tape *tape, uint32_t object)
{
    uint32_t count = tape->tokens[object].count;
    if (count < 2)
        return TAPE_NONE;
    return count <= SMALL_OBJECT ? small_duplicate(tape, object) : large_duplicate(tape, object);
}
