/*
 * Texts of patterns are numbered, so that a step from one node of the tree to
 * the next is a lookup of three small numbers. What a request has is looked up
 * among those texts once; what no pattern has, and so most of a hostile request,
 * ends there.
 *
 * Only the last occurrence of a query parameter counts: parameters are read
 * from the end, and those that were seen are marked.
 */
#include "core/rule_index.h"

#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

#include "core/percent.h"

/* What is asked for comes from the network, what is in the tables does not: no secret seed. */
#define HASH_FUNCTION(key, size, hash) ((hash) = (unsigned)XXH3_64bits(key, size))
#include "core/table.h"

struct word {
    uint32_t id;
    UT_hash_handle hh;
    char text[];
};

struct words {
    struct word *table;
    size_t longest;
};

enum step {
    STEP_QUERY, /* word: parameter */
    STEP_HOST_EXACT,
    STEP_HOST_BELOW,
    STEP_HOST_LABEL,
    STEP_PATH,    /* there is a path; no word */
    STEP_SEGMENT, /* word: segment */
    STEP_PLACEHOLDER,
};

/* A request has no word of which no pattern has heard. */
enum { WORD_NONE = 0 };

/* Hashed whole: no padding. */
struct node_key {
    uint32_t parent;
    uint32_t step;
    uint32_t word;
};

struct node {
    struct node_key key;
    uint32_t id;
    uint32_t steps; /* bit for each enum step that leads on from here */
    int rule;       /* whose conditions end here, or RULE_NONE */
    UT_hash_handle hh;
};

struct rule_index {
    struct words queries;
    struct words hosts;
    struct words segments;
    struct node root;
    struct node *nodes;
    size_t depth; /* segments of the longest path */
};

static uint32_t word_find(const struct words *w, struct bytes text)
{
    struct word *found = NULL;
    if (text.size <= w->longest)
        HASH_FIND(hh, w->table, text.data, text.size, found);
    return found ? found->id : WORD_NONE;
}

/* Find @text or add it. Returns its number, or WORD_NONE without memory. */
static uint32_t word_add(struct words *w, struct bytes text)
{
    uint32_t id = word_find(w, text);
    if (id != WORD_NONE)
        return id;

    struct word *new = calloc(1, sizeof(*new) + text.size);
    if (!new)
        return WORD_NONE;
    memcpy(new->text, text.data, text.size);
    new->id = HASH_COUNT(w->table) + 1;
    HASH_ADD_KEYPTR(hh, w->table, new->text, text.size, new);
    if (!new->hh.tbl) {
        free(new);
        return WORD_NONE;
    }
    w->longest = MAX(w->longest, text.size);
    return new->id;
}

static void words_deinit(struct words *w)
{
    struct word *word, *next;
    HASH_ITER (hh, w->table, word, next) {
        HASH_DEL(w->table, word);
        free(word);
    }
}

static struct node *node_find(const struct rule_index *x, const struct node *parent, enum step step,
                              uint32_t word)
{
    struct node_key key = {parent->id, step, word};
    struct node *found = NULL;
    if (parent->steps & 1u << step)
        HASH_FIND(hh, x->nodes, &key, sizeof(key), found);
    return found;
}

/* Find the node that @step leads to from @parent, or add it. Returns NULL without memory. */
static struct node *node_add(struct rule_index *x, struct node *parent, enum step step,
                             uint32_t word)
{
    struct node *found = node_find(x, parent, step, word);
    if (found)
        return found;

    struct node *new = calloc(1, sizeof(*new));
    if (!new)
        return NULL;
    new->key = (struct node_key){parent->id, step, word};
    new->id = HASH_COUNT(x->nodes) + 1;
    new->rule = RULE_NONE;
    HASH_ADD(hh, x->nodes, key, sizeof(new->key), new);
    if (!new->hh.tbl) {
        free(new);
        return NULL;
    }
    parent->steps |= 1u << step;
    return new;
}

int rule_index_new(struct rule_index **out)
{
    struct rule_index *x = calloc(1, sizeof(*x));
    if (!x)
        return -ENOMEM;
    x->root.rule = RULE_NONE;
    *out = x;
    return 0;
}

struct rule_index *rule_index_free(struct rule_index *x)
{
    if (!x)
        return NULL;
    words_deinit(&x->queries);
    words_deinit(&x->hosts);
    words_deinit(&x->segments);
    struct node *node, *next;
    HASH_ITER (hh, x->nodes, node, next) {
        HASH_DEL(x->nodes, node);
        free(node);
    }
    free(x);
    return NULL;
}

/* Add a node for a condition on @text, which is numbered in @w. */
static struct node *add_text(struct rule_index *x, struct node *parent, enum step step,
                             struct words *w, struct bytes text)
{
    uint32_t word = word_add(w, text);
    return word == WORD_NONE ? NULL : node_add(x, parent, step, word);
}

static struct node *add_path(struct rule_index *x, struct node *node, struct bytes path)
{
    struct bytes segment;
    size_t depth = 0;
    node = node_add(x, node, STEP_PATH, WORD_NONE);
    while (node && target_take_segment(&path, &segment)) {
        depth++;
        node = rule_pattern_is_placeholder(segment)
                   ? node_add(x, node, STEP_PLACEHOLDER, WORD_NONE)
                   : add_text(x, node, STEP_SEGMENT, &x->segments, segment);
    }
    x->depth = MAX(x->depth, depth);
    return node;
}

int rule_index_add(struct rule_index *x, const struct rule_pattern *p, int rule)
{
    static const enum step host_step[RULE_HOST_KINDS] = {
        [RULE_HOST_EXACT] = STEP_HOST_EXACT,
        [RULE_HOST_BELOW] = STEP_HOST_BELOW,
        [RULE_HOST_LABEL] = STEP_HOST_LABEL,
    };
    struct node *node = &x->root;
    if (p->query.data)
        node = add_text(x, node, STEP_QUERY, &x->queries, p->query);
    if (node && p->host_kind != RULE_HOST_ANY)
        node = add_text(x, node, host_step[p->host_kind], &x->hosts, p->host);
    if (node && p->path.data)
        node = add_path(x, node, p->path);
    if (!node)
        return -ENOMEM;
    node->rule = rule;
    return 0;
}

/* A condition on the host that a request meets. */
struct host_step {
    enum step step;
    uint32_t word;
};

struct segment_step {
    uint32_t word;
    bool empty;
};

/* What a request has, in numbers, and the best rule so far. */
struct search {
    const struct rule_index *index;
    size_t host_count;
    struct host_step hosts[RULE_HOST_MAX + 2];
    bool has_path;
    size_t segment_count;
    struct segment_step segments[RULE_SEGMENTS_MAX];
    int rule;
};

static void add_host(struct search *s, enum step step, struct bytes host)
{
    uint32_t word = word_find(&s->index->hosts, host);
    if (word != WORD_NONE)
        s->hosts[s->host_count++] = (struct host_step){step, word};
}

static void number_host(struct search *s, struct bytes host)
{
    if (host.size == 0 || !s->index->hosts.table)
        return;
    add_host(s, STEP_HOST_EXACT, host);
    for (size_t i = 1; i < host.size; i++) {
        if (host.data[i] != '.' || host.size - i - 1 > s->index->hosts.longest)
            continue;
        struct bytes below = bytes_make(host.data + i + 1, host.size - i - 1);
        add_host(s, STEP_HOST_BELOW, below);
        if (!memchr(host.data, '.', i))
            add_host(s, STEP_HOST_LABEL, below);
    }
}

static void number_path(struct search *s, struct bytes path)
{
    s->has_path = path.size > 0;
    struct bytes segment;
    while (s->segment_count < s->index->depth && target_take_segment(&path, &segment))
        s->segments[s->segment_count++] = (struct segment_step){
            .word = word_find(&s->index->segments, segment),
            .empty = segment.size == 0,
        };
}

/* The rule of @node takes the request. */
static void reach(struct search *s, const struct node *node)
{
    if (node->rule != RULE_NONE && (s->rule == RULE_NONE || node->rule < s->rule))
        s->rule = node->rule;
}

static void follow_segments(struct search *s, const struct node *node, size_t at)
{
    if (!node)
        return;
    reach(s, node);
    if (at == s->segment_count)
        return;
    const struct segment_step *segment = &s->segments[at];
    if (segment->word != WORD_NONE)
        follow_segments(s, node_find(s->index, node, STEP_SEGMENT, segment->word), at + 1);
    if (!segment->empty)
        follow_segments(s, node_find(s->index, node, STEP_PLACEHOLDER, WORD_NONE), at + 1);
}

static void follow_path(struct search *s, const struct node *node)
{
    if (!node)
        return;
    reach(s, node);
    if (s->has_path)
        follow_segments(s, node_find(s->index, node, STEP_PATH, WORD_NONE), 0);
}

static void follow_host(struct search *s, const struct node *node)
{
    if (!node)
        return;
    follow_path(s, node);
    for (size_t i = 0; i < s->host_count; i++)
        follow_path(s, node_find(s->index, node, s->hosts[i].step, s->hosts[i].word));
}

/* The number of the parameter that @encoded is. */
static uint32_t number_parameter(const struct rule_index *x, struct bytes encoded)
{
    uint8_t name[3 * RULE_QUERY_MAX];
    if (encoded.size > 3 * x->queries.longest)
        return WORD_NONE;
    return word_find(&x->queries, bytes_make(name, percent_decode(name, encoded, PERCENT_FORM)));
}

static void follow_query(struct search *s, struct bytes query)
{
    uint64_t seen[RULES_MAX / 64 + 1] = {0};
    struct target_parameter p;
    while (target_take_last_parameter(&query, &p)) {
        uint32_t word = number_parameter(s->index, p.name);
        uint64_t bit = UINT64_C(1) << word % 64;
        if (word == WORD_NONE || (seen[word / 64] & bit))
            continue;
        seen[word / 64] |= bit;
        if (p.value.size)
            follow_host(s, node_find(s->index, &s->index->root, STEP_QUERY, word));
    }
}

int rule_index_find(const struct rule_index *x, const struct target *t)
{
    struct search s;
    s.index = x;
    s.host_count = 0;
    s.segment_count = 0;
    s.rule = RULE_NONE;

    number_host(&s, t->host);
    number_path(&s, t->path);
    follow_host(&s, &x->root);
    if (x->queries.table)
        follow_query(&s, t->query);
    return s.rule;
}
