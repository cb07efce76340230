/*
 * Heads that were read before, and what came of it. Clients poll, and servers
 * answer alike within a second: the same bytes come again and need not be read
 * again.
 *
 * An entry is found by a keyed hash of the head and taken only if all its bytes
 * are the same. Of two heads that come in turn neither drives the other out. While
 * few heads come again, most are not looked for.
 *
 * Units    bytes
 * Owns     its entries; embed it by value
 * Threads  one at a time
 */
#pragma once

#include <stdint.h>

#include "base/bytes.h"

enum {
    HTTP_MEMO_PLACES = 256,
    HTTP_MEMO_BYTES_MAX = 512, /* of a head */
};

struct http_memo_entry;

struct http_memo {
    struct http_memo_entry *entries; /* made when the first is added */
    uint64_t seed;                   /* random: the heads come from the network */
    uint32_t looked;
    uint32_t found;
    uint32_t rest; /* so many heads are not looked for */
    uint64_t turn; /* of heads that were found or added */
};

void http_memo_init(struct http_memo *m);
void http_memo_deinit(struct http_memo *m);

/* Forget all heads, and their tags. */
void http_memo_clear(struct http_memo *m);

/*
 * The head that @in begins with, up to its empty line. Empty if it is not there,
 * too long, or not worth a look at present.
 */
struct bytes http_memo_head(struct http_memo *m, struct bytes in);

struct http_framer;
struct http_head;

/* The entry for @head on the side of @f, or NULL. It is valid until http_memo_add(). */
struct http_memo_entry *http_memo_find(struct http_memo *m, const struct http_framer *f,
                                       struct bytes head);

/* Have @f and @head become what the entry says, and return the size of its bytes. */
size_t http_memo_recall(struct http_memo_entry *e, struct http_framer *f, struct http_head *head);

/* Remember that @bytes, read to their end, made @f and @head what they are. */
void http_memo_add(struct http_memo *m, struct bytes bytes, const struct http_framer *f,
                   struct http_head *head);
