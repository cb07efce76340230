#include "app/watch_set.h"

#include <stdlib.h>
#include <string.h>

#include "core/table.h"

int watch_set_init(struct watch_set *s, uv_loop_t *loop, inbox_news_fn *news, void *context)
{
    *s = (struct watch_set){0};
    int error = inbox_new(&s->inbox, loop, news, context);
    return error < 0 ? error : crew_new(&s->crew);
}

void watch_set_deinit(struct watch_set *s)
{
    s->crew = crew_free(s->crew);
    struct watch_group *g, *next;
    DL_FOREACH_SAFE (s->groups, g, next)
        watch_group_free(g);
    s->groups = NULL;
    s->inbox = inbox_close(s->inbox);
}

int watch_set_begin(struct watch_set *s, const struct watch_group_options *options,
                    struct watch_group *former, size_t workers)
{
    size_t shares = s->shares + options->shares;
    size_t threads = MIN(workers, shares - (former ? former->count : 0));
    int error = crew_grow(s->crew, MAX(threads, (size_t)options->shares));
    if (error < 0)
        return error;
    struct watch_group_options with_inbox = *options;
    with_inbox.inbox = s->inbox;
    AUTO(watch_group_free) struct watch_group *opened = NULL;
    error = watch_group_open(&opened, &with_inbox);
    if (error == 0)
        error = watch_group_start(opened, former);
    if (error < 0)
        return error;
    struct watch_group *g = TAKE(opened);
    watch_group_begin(g, s->crew);
    DL_APPEND(s->groups, g);
    s->count++;
    s->shares = shares;
    s->shares_max = MAX(s->shares_max, shares);
    return 0;
}

struct watch_group *watch_set_find(const struct watch_set *s, const char *name)
{
    for (struct watch_group *g = s->groups; g; g = g->next)
        if (!g->leaving && strcmp(g->name, name) == 0)
            return g;
    return NULL;
}

size_t watch_set_count(const struct watch_set *s)
{
    size_t count = 0;
    for (const struct watch_group *g = s->groups; g; g = g->next)
        count += !g->leaving;
    return count;
}

struct watch_plan_item *watch_set_items(const struct watch_set *s)
{
    struct watch_plan_item *items = calloc(s->count + 1, sizeof(*items));
    size_t count = 0;
    for (const struct watch_group *g = s->groups; items && g; g = g->next)
        items[count++] = (struct watch_plan_item){
            .name = g->name,
            .index = g->index,
            .workers = g->count,
            .leaving = g->leaving,
        };
    return items;
}

struct watch_group *watch_set_at(const struct watch_set *s, size_t item)
{
    struct watch_group *g = s->groups;
    while (item--)
        g = g->next;
    return g;
}

void watch_set_ask(struct watch_set *s)
{
    for (struct watch_group *g = s->groups; g; g = g->next)
        s->unanswered += watch_group_ask(g);
    crew_wake(s->crew);
}

void watch_set_dismiss(struct watch_set *s)
{
    for (struct watch_group *g = s->groups; g; g = g->next)
        watch_group_dismiss(g);
    crew_wake(s->crew);
}

bool watch_set_take(struct watch_set *s, struct inbox_news *news)
{
    if (!inbox_take(s->inbox, news))
        return false;
    struct watch_share *share = news->owner;
    if (news->answered || news->ended) {
        s->unanswered -= share->unanswered;
        share->unanswered = false;
    }
    return true;
}

void watch_set_drop(struct watch_set *s, struct watch_share *share)
{
    share->watch = watch_free(share->watch);
    crew_drop(s->crew, share->worker);
    struct watch_group *g = share->group;
    if (!watch_group_has_ended(g))
        return;
    DL_DELETE(s->groups, g);
    s->count--;
    s->shares -= g->count;
    watch_group_free(g);
}
