#include "core/http_memo.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/http.h"

/* When less than a quarter of what was looked for was found, a rest pays. */
enum { LOOKS = 512, FOUND_MIN = LOOKS / 4, REST = 16 * LOOKS };

/* A head has so many places, next to each other. */
enum { WAYS = 2 };

struct http_memo_entry {
    uint64_t hash;
    size_t size;   /* 0: there is none */
    uint64_t turn; /* when it was last found or added */
    uint8_t bytes[HTTP_MEMO_BYTES_MAX];
    char words[HTTP_MEMO_BYTES_MAX]; /* the head's views point here */
    struct http_framer framer;       /* as it was behind the head */
    struct http_head head;
    void *tag;
};

void http_memo_init(struct http_memo *m)
{
    *m = (struct http_memo){0};
}

void http_memo_deinit(struct http_memo *m)
{
    free(m->entries);
    *m = (struct http_memo){0};
}

/* The first bytes of @in that end in LF CR LF, none if there are no such. */
static struct bytes up_to_empty_line(struct bytes in)
{
    const uint8_t *end = in.data + in.size;
    for (const uint8_t *at = in.data; (at = memchr(at, '\n', (size_t)(end - at))); at++)
        if (end - at > 2 && at[1] == '\r' && at[2] == '\n')
            return bytes_make(in.data, (size_t)(at + 3 - in.data));
    return (struct bytes){0};
}

void http_memo_clear(struct http_memo *m)
{
    free(TAKE(m->entries));
}

struct bytes http_memo_head(struct http_memo *m, struct bytes in)
{
    if (m->rest) {
        m->rest--;
        return (struct bytes){0};
    }
    in.size = MIN(in.size, (size_t)HTTP_MEMO_BYTES_MAX);
    struct bytes head = up_to_empty_line(in);
    if (!head.size)
        return head;

    if (++m->looked == LOOKS) {
        m->rest = m->found < FOUND_MIN ? REST : 0;
        m->looked = m->found = 0;
    }
    return head;
}

static uint64_t hash_head(const struct http_memo *m, const struct http_framer *f, struct bytes head)
{
    return XXH3_64bits_withSeed(head.data, head.size, m->seed ^ f->side);
}

/* The first place of a head. */
static struct http_memo_entry *places(const struct http_memo *m, uint64_t hash)
{
    return &m->entries[hash % (HTTP_MEMO_PLACES / WAYS) * WAYS];
}

static bool is_entry_of(const struct http_memo_entry *e, uint64_t hash, enum http_side side,
                        struct bytes head)
{
    return e->hash == hash && e->framer.side == side &&
           bytes_equal(bytes_make(e->bytes, e->size), head);
}

struct http_memo_entry *http_memo_find(struct http_memo *m, const struct http_framer *f,
                                       struct bytes head)
{
    if (!m->entries || !head.size)
        return NULL;
    uint64_t hash = hash_head(m, f, head);
    struct http_memo_entry *e = places(m, hash);
    for (unsigned i = 0; i < WAYS; i++, e++) {
        if (!is_entry_of(e, hash, f->side, head))
            continue;
        m->found++;
        e->turn = ++m->turn;
        return e;
    }
    return NULL;
}

size_t http_memo_recall(struct http_memo_entry *e, struct http_framer *f, struct http_head *head)
{
    bool expected = f->expected;
    *f = e->framer;
    f->expected = expected;
    *head = e->head;
    return e->size;
}

/* Copy what @view shows behind the first @used bytes of @words, and show it there. */
static void move_view(struct bytes *view, char *words, size_t *used)
{
    if (!view->data)
        return;
    memcpy(words + *used, view->data, view->size);
    view->data = (const uint8_t *)words + *used;
    *used += view->size;
}

void http_memo_add(struct http_memo *m, struct bytes bytes, const struct http_framer *f,
                   struct http_head *head)
{
    size_t words_size = head->method.size + head->target.size + head->host.size + head->reason.size;
    if (bytes.size > HTTP_MEMO_BYTES_MAX || words_size > HTTP_MEMO_BYTES_MAX)
        return;
    if (!m->entries)
        m->entries = calloc(HTTP_MEMO_PLACES, sizeof(*m->entries));
    if (!m->entries)
        return;

    uint64_t hash = hash_head(m, f, bytes);
    struct http_memo_entry *e = places(m, hash);
    for (struct http_memo_entry *other = e + 1; other < places(m, hash) + WAYS; other++)
        e = other->turn < e->turn ? other : e;
    e->turn = ++m->turn;
    e->hash = hash;
    e->size = bytes.size;
    memcpy(e->bytes, bytes.data, bytes.size);
    e->framer = *f;
    e->head = *head;
    e->tag = NULL;
    e->head.tag = head->tag = &e->tag;
    size_t used = 0;
    move_view(&e->head.method, e->words, &used);
    move_view(&e->head.target, e->words, &used);
    move_view(&e->head.host, e->words, &used);
    move_view(&e->head.reason, e->words, &used);
}
