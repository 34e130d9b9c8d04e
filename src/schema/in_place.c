// SPDX-License-Identifier: Apache-2.0
// The proof that no schema applies itself, through references, to the value it is already looking
// at, and that few enough apply one another to bound the stack. A dynamic reference counts as one
// to every schema that it may come to.
#include "schema/compile_priv.h"

#include "core/mem.h"

#include <stdlib.h>

// Peels nodes that nothing (left) applies, layer by layer; *deepest_r: how many layers. What is
// left in `counts` (of appliers, by node) lies on a circle or behind one.
static void peel(const struct compiler *compiler, size_t n, uint32_t *counts, uint32_t *depths,
                 uint32_t *deepest_r)
{
    size_t n_edges = compiler->n_in_places;
    uint32_t *first = mem_zalloc((n + 2) * sizeof(*first));
    block_t *targets = mem_realloc_array(NULL, n_edges, sizeof(*targets));
    block_t *ready = mem_realloc_array(NULL, n, sizeof(*ready));
    size_t n_ready = 0;

    for (size_t i = 0; i < n_edges; i++) {
        first[compiler->in_places[i].from + 2]++;
        counts[compiler->in_places[i].to]++;
    }
    for (size_t i = 2; i <= n + 1; i++)
        first[i] += first[i - 1];
    for (size_t i = 0; i < n_edges; i++)
        targets[first[compiler->in_places[i].from + 1]++] = compiler->in_places[i].to;
    for (size_t i = 0; i < n; i++)
        if (counts[i] == 0)
            ready[n_ready++] = (block_t)i;
    *deepest_r = 0;
    for (size_t k = 0; k < n_ready; k++) {
        block_t from = ready[k];
        for (uint32_t i = first[from]; i < first[from + 1]; i++) {
            block_t to = targets[i];
            if (depths[to] < depths[from] + 1)
                depths[to] = depths[from] + 1;
            if (*deepest_r < depths[to])
                *deepest_r = depths[to];
            if (--counts[to] == 0)
                ready[n_ready++] = to;
        }
    }
    free(first);
    free(targets);
    free(ready);
}

static void add_edge(struct compiler *compiler, block_t from, block_t to, uint32_t token)
{
    if (to != BLOCK_NONE)
        *COMPILER_PUSH(compiler, in_places) = (struct in_place){from, to, token};
}

// A node for each slot stands between the dynamic references and what is bound to it.
static void add_dynamic_edges(struct compiler *compiler)
{
    block_t slots = (block_t)compiler->n_blocks;

    for (size_t i = 0; i < compiler->n_dynamic_uses; i++) {
        const struct dynamic_use *use = &compiler->dynamic_uses[i];
        add_edge(compiler, use->from, slots + use->slot, use->token);
    }
    for (size_t i = 0; i < compiler->n_bound_targets; i++) {
        const struct bound_target *bound = &compiler->bound_targets[i];
        add_edge(compiler, slots + bound->slot, bound->binding->block, TAPE_NONE);
        add_edge(compiler, slots + bound->slot, bound->binding->tracked, TAPE_NONE);
    }
}

static bool is_reference(const struct compiler *compiler, uint32_t token)
{
    enum keyword keyword =
        token != TAPE_NONE ? keyword_of_token(compiler->tape, token) : KEYWORD_COUNT;

    return keyword == KEYWORD_REF || keyword == KEYWORD_DYNAMIC_REF ||
           keyword == KEYWORD_RECURSIVE_REF;
}

void in_place_check(struct compiler *compiler)
{
    size_t n = compiler->n_blocks + compiler->n_slots;
    uint32_t *counts = mem_zalloc(n * sizeof(*counts));
    uint32_t *depths = mem_zalloc(n * sizeof(*depths));
    uint32_t deepest, told = TAPE_NONE;

    add_dynamic_edges(compiler);
    peel(compiler, n, counts, depths, &deepest);
    for (size_t i = 0; i < compiler->n_in_places; i++) {
        const struct in_place *edge = &compiler->in_places[i];
        if (counts[edge->from] == 0 || counts[edge->to] == 0 ||
            !is_reference(compiler, edge->token) || edge->token == told)
            continue;
        told = edge->token;
        compiler_fault(compiler, edge->token,
                       "comes back to itself without going into a member or an element of "
                       "the value: validation would never end");
    }
    if (deepest > SCHEMA_IN_PLACE_MAX)
        compiler_fault(compiler, 0,
                       "schemas apply one another (\"$ref\", \"allOf\", ...) more than %d deep",
                       SCHEMA_IN_PLACE_MAX);
    free(counts);
    free(depths);
}
