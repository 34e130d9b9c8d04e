// SPDX-License-Identifier: Apache-2.0
// What REST requests changed, within bounds: the oldest goes when there is no room. Memory is
// taken page by page, as it is used.
#include "sim.h"

#include "core/hash.h"
#include "core/mem.h"

#include <stdlib.h>

static uint32_t *bucket_of(const struct sim_effects *effects, uint64_t key)
{
    return &effects->buckets[key % SIM_EFFECTS_MAX];
}

struct sim_effect *sim_effect_find(const struct sim_effects *effects, uint64_t key)
{
    uint32_t at = effects->ring == NULL ? 0 : *bucket_of(effects, key);
    while (at != 0 && effects->ring[at - 1].key != key)
        at = effects->ring[at - 1].next;
    return at == 0 ? NULL : &effects->ring[at - 1];
}

static void forget(struct sim_effects *effects, uint32_t index)
{
    uint32_t *at = bucket_of(effects, effects->ring[index].key);
    while (*at != index + 1)
        at = &effects->ring[*at - 1].next;
    *at = effects->ring[index].next;
}

struct sim_effect *sim_effect_add(struct sim_effects *effects, uint64_t key)
{
    uint32_t index = (uint32_t)(effects->made % SIM_EFFECTS_MAX);
    if (effects->ring == NULL) {
        effects->ring = mem_zalloc(SIM_EFFECTS_MAX * sizeof(*effects->ring));
        effects->buckets = mem_zalloc(SIM_EFFECTS_MAX * sizeof(*effects->buckets));
    }
    if (effects->made >= SIM_EFFECTS_MAX)
        forget(effects, index);
    uint32_t *bucket = bucket_of(effects, key);
    struct sim_effect *effect = &effects->ring[index];
    *effect = (struct sim_effect){.key = key, .next = *bucket, .number = ++effects->made};
    *bucket = index + 1;
    return effect;
}

void sim_effects_deinit(struct sim_effects *effects)
{
    free(effects->ring);
    free(effects->buckets);
    *effects = (struct sim_effects){0};
}

static size_t document_index(const struct sim_documents *documents, uint64_t name)
{
    size_t i = 0;
    while (i < SIM_DOCUMENTS_MAX &&
           (documents->items[i].text == NULL || documents->items[i].name != name))
        i++;
    return i;
}

const char *sim_document_find(const struct sim_documents *documents, const char *name)
{
    size_t i = document_index(documents, hash_bytes(name, strlen(name), 0));
    return i < SIM_DOCUMENTS_MAX ? documents->items[i].text : NULL;
}

bool sim_document_put(struct sim_documents *documents, const char *name, const char *text,
                      size_t length)
{
    uint64_t hash = hash_bytes(name, strlen(name), 0);
    size_t i = document_index(documents, hash);
    if (length > SIM_DOCUMENT_BYTES)
        return false;
    if (i == SIM_DOCUMENTS_MAX)
        i = documents->made++ % SIM_DOCUMENTS_MAX;
    char *copy = mem_strndup(text, length);
    free(documents->items[i].text);
    documents->items[i].text = copy;
    documents->items[i].name = hash;
    return true;
}

void sim_documents_deinit(struct sim_documents *documents)
{
    for (size_t i = 0; i < SIM_DOCUMENTS_MAX; i++)
        free(documents->items[i].text);
    *documents = (struct sim_documents){0};
}
