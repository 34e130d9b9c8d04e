// SPDX-License-Identifier: Apache-2.0
// Parameters of the queue's statements, and the lists of what waits to be sent.
#include "jobs/queue_priv.h"

#include "pg/array.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void params_clear(struct params *p)
{
    for (int i = 0; i < p->n; i++)
        buf_clear(&p->data[i]);
    p->n = 0;
}

void params_deinit(struct params *p)
{
    for (int i = 0; i < QUEUE_PARAMS_MAX; i++)
        buf_deinit(&p->data[i]);
    p->n = 0;
}

void params_text(struct params *p, const char *text)
{
    struct buf *data = &p->data[p->n];
    p->items[p->n++] = (struct pg_param){.length = text != NULL ? 0 : -1};
    if (text != NULL)
        buf_append_text(data, text);
    buf_text(data); // a NUL behind it, also when it is empty
}

void params_int(struct params *p, int64_t value)
{
    struct buf *data = &p->data[p->n];
    p->items[p->n++] = (struct pg_param){0};
    buf_printf(data, "%" PRId64, value);
    buf_text(data);
}

struct buf *params_array(struct params *p, uint32_t element, size_t n)
{
    struct buf *data = &p->data[p->n];
    p->items[p->n++] = (struct pg_param){.type = array_type(element), .format = 1};
    array_begin(data, element, n);
    return data;
}

void params_put_text(struct buf *array, const char *text)
{
    if (text != NULL)
        array_put(array, text, strlen(text));
    else
        array_put_null(array);
}

// --- lists ---

void list_push(struct list *list, struct item *item)
{
    item->next = NULL;
    if (list->last != NULL)
        list->last->next = item;
    else
        list->first = item;
    list->last = item;
    list->count++;
}

struct item *list_pop(struct list *list)
{
    struct item *item = list->first;
    if (item == NULL)
        return NULL;
    list->first = item->next;
    if (list->first == NULL)
        list->last = NULL;
    list->count--;
    return item;
}

void list_return(struct list *list, struct list *front)
{
    if (front->first == NULL)
        return;
    front->last->next = list->first;
    if (list->last == NULL)
        list->last = front->last;
    list->first = front->first;
    list->count += front->count;
    *front = (struct list){0};
}

void list_forget(struct list *list, const void *owner)
{
    for (struct item *item = list->first; item != NULL; item = item->next)
        item->forgotten |= item->owner == owner;
}

void list_free(struct list *list, void (*free_fn)(struct item *item))
{
    struct item *item;
    while ((item = list_pop(list)) != NULL)
        free_fn(item);
}
