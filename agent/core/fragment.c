/*
 * A datagram keeps its pieces in order of their place, each a copy of what was
 * captured of a fragment. When the last gap is filled, they are copied one
 * behind the other into the table's buffer.
 *
 * A datagram that is given up stays, without pieces, until its time is over:
 * otherwise what still comes of it would begin it anew.
 */
#include "core/fragment.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

#include "core/table.h"

enum {
    DATAGRAM_BYTES_MAX = 65535,
    PIECES_MAX = 256, /* of one datagram: the search for a place is linear */
    UNIT_BYTES = 8,   /* of all pieces but the last */
};

struct piece {
    struct piece *next;
    uint32_t offset;
    uint32_t bytes; /* on the wire */
    uint32_t captured_bytes;
    uint8_t captured[];
};

/* No padding: it is hashed whole. */
struct datagram_key {
    uint8_t address[2][16];
    uint16_t vlan[2];
    uint32_t id;
};
_Static_assert(sizeof(struct datagram_key) == 40, "datagram_key has padding");

struct datagram {
    struct datagram_key key;
    UT_hash_handle hh;
    uint64_t first_ns;
    struct piece *pieces; /* by offset, none overlaps */
    uint32_t piece_count;
    uint32_t data_bytes;   /* of the pieces */
    uint32_t header_bytes; /* of their IP headers */
    uint32_t whole_bytes;  /* 0: the last piece did not come yet */
    bool given_up;
};

struct fragment_table {
    struct fragment_options options;
    struct datagram *datagrams; /* the hash table, which keeps the order of arrival */
    uint64_t held_bytes;        /* of memory for pieces */
    uint64_t pending_bytes;
    uint64_t untracked_bytes;
    uint8_t whole[DATAGRAM_BYTES_MAX];
};

int fragment_table_new(struct fragment_table **out, const struct fragment_options *options)
{
    assert(options->datagrams_max > 0);
    struct fragment_table *t = calloc(1, sizeof(*t));
    if (!t)
        return -ENOMEM;
    t->options = *options;
    *out = t;
    return 0;
}

struct fragment_table *fragment_table_free(struct fragment_table *t)
{
    if (t)
        fragment_table_clear(t);
    free(t);
    return NULL;
}

static struct datagram_key key_of(const struct fragment *f)
{
    struct datagram_key key = {.vlan = {f->vlan[0], f->vlan[1]}, .id = f->id};
    memcpy(key.address, f->address, sizeof(key.address));
    return key;
}

static uint64_t fragment_ip_bytes(const struct fragment *f)
{
    return (uint64_t)f->header_bytes + f->data_bytes;
}

static uint32_t end_of(const struct fragment *f)
{
    return f->offset + f->data_bytes;
}

static size_t piece_memory(size_t captured_bytes)
{
    return sizeof(struct piece) + captured_bytes;
}

/* Its bytes are no longer pending. */
static void drop_pieces(struct fragment_table *t, struct datagram *d)
{
    struct piece *piece, *next;
    LL_FOREACH_SAFE (d->pieces, piece, next) {
        t->held_bytes -= piece_memory(piece->captured_bytes);
        free(piece);
    }
    t->pending_bytes -= (uint64_t)d->header_bytes + d->data_bytes;
    d->pieces = NULL;
    d->piece_count = d->data_bytes = d->header_bytes = 0;
}

static void give_up(struct fragment_table *t, struct datagram *d)
{
    t->untracked_bytes += (uint64_t)d->header_bytes + d->data_bytes;
    drop_pieces(t, d);
    d->given_up = true;
}

static void remove_datagram(struct fragment_table *t, struct datagram *d)
{
    HASH_DEL(t->datagrams, d);
    free(d);
}

static void forget(struct fragment_table *t, struct datagram *d)
{
    give_up(t, d);
    remove_datagram(t, d);
}

/* Returns NULL without memory. */
static struct datagram *add_datagram(struct fragment_table *t, const struct datagram_key *key,
                                     unsigned hash, uint64_t first_ns)
{
    if (HASH_COUNT(t->datagrams) >= t->options.datagrams_max)
        forget(t, t->datagrams);
    struct datagram *d = calloc(1, sizeof(*d));
    if (!d)
        return NULL;

    d->key = *key;
    d->first_ns = first_ns;
    HASH_ADD_BYHASHVALUE(hh, t->datagrams, key, sizeof(d->key), hash, d);
    if (!d->hh.tbl) {
        free(d);
        return NULL;
    }
    return d;
}

static struct datagram *find_or_add_datagram(struct fragment_table *t, const struct fragment *f)
{
    struct datagram_key key = key_of(f);
    unsigned hash = (unsigned)XXH3_64bits_withSeed(&key, sizeof(key), t->options.hash_seed);
    struct datagram *d = NULL;
    HASH_FIND_BYHASHVALUE(hh, t->datagrams, &key, sizeof(key), hash, d);
    return d ? d : add_datagram(t, &key, hash, f->time_ns);
}

/* Forget the oldest datagrams but @keep until there is room for @bytes. */
static bool make_room(struct fragment_table *t, const struct datagram *keep, size_t bytes)
{
    while (t->held_bytes + bytes > t->options.bytes_max) {
        struct datagram *oldest = t->datagrams == keep ? t->datagrams->hh.next : t->datagrams;
        if (!oldest)
            return false;
        forget(t, oldest);
    }
    return true;
}

/* Whether @f can be part of any datagram. */
static bool is_sound(const struct fragment *f)
{
    return f->data_bytes > 0 && f->data_bytes <= DATAGRAM_BYTES_MAX &&
           f->offset <= DATAGRAM_BYTES_MAX - f->data_bytes &&
           (!f->more || f->data_bytes % UNIT_BYTES == 0);
}

enum fit {
    FIT_NEW,
    FIT_USELESS, /* it is there already, or the datagram was given up */
    FIT_CONFLICT,
};

/* How @f goes with what is there of its datagram. */
static enum fit fit_of(const struct datagram *d, const struct fragment *f)
{
    if (d->given_up)
        return FIT_USELESS;
    bool is_last = !f->more;
    if (d->whole_bytes && (is_last ? end_of(f) != d->whole_bytes : end_of(f) > d->whole_bytes))
        return FIT_CONFLICT;

    const struct piece *piece;
    LL_FOREACH (d->pieces, piece) {
        uint32_t piece_end = piece->offset + piece->bytes;
        if (piece->offset == f->offset && piece_end == end_of(f))
            return FIT_USELESS;
        if (piece->offset < end_of(f) && f->offset < piece_end)
            return FIT_CONFLICT;
        if (is_last && piece->offset > f->offset)
            return FIT_CONFLICT;
    }
    return d->piece_count < PIECES_MAX ? FIT_NEW : FIT_CONFLICT;
}

static int by_offset(const struct piece *a, const struct piece *b)
{
    return a->offset < b->offset ? -1 : a->offset > b->offset;
}

static bool add_piece(struct fragment_table *t, struct datagram *d, const struct fragment *f)
{
    size_t captured_bytes = MIN(f->data.size, (size_t)f->data_bytes);
    if (!make_room(t, d, piece_memory(captured_bytes)))
        return false;
    struct piece *piece = malloc(piece_memory(captured_bytes));
    if (!piece)
        return false;

    piece->offset = f->offset;
    piece->bytes = f->data_bytes;
    piece->captured_bytes = (uint32_t)captured_bytes;
    if (captured_bytes)
        memcpy(piece->captured, f->data.data, captured_bytes);
    LL_INSERT_INORDER(d->pieces, piece, by_offset);

    t->held_bytes += piece_memory(captured_bytes);
    t->pending_bytes += fragment_ip_bytes(f);
    d->piece_count++;
    d->data_bytes += f->data_bytes;
    d->header_bytes += f->header_bytes;
    if (!f->more)
        d->whole_bytes = end_of(f);
    return true;
}

/* What was captured without a gap from the start of @d on. */
static struct bytes assemble(struct fragment_table *t, const struct datagram *d)
{
    struct bytes whole = bytes_make(t->whole, 0);
    const struct piece *piece;
    LL_FOREACH (d->pieces, piece) {
        memcpy(t->whole + whole.size, piece->captured, piece->captured_bytes);
        whole.size += piece->captured_bytes;
        if (piece->captured_bytes < piece->bytes)
            break;
    }
    return whole;
}

static enum fragment_step complete(struct fragment_table *t, struct datagram *d, uint64_t time_ns,
                                   struct packet *whole)
{
    enum packet_kind kind =
        packet_decode_segment(assemble(t, d), d->whole_bytes, d->key.address, d->key.vlan,
                              d->header_bytes, d->piece_count, time_ns, whole);
    if (kind != PACKET_TCP) {
        forget(t, d);
        return FRAGMENT_WAITING;
    }
    drop_pieces(t, d);
    remove_datagram(t, d);
    return FRAGMENT_COMPLETE;
}

enum fragment_step fragment_table_add(struct fragment_table *t, const struct fragment *f,
                                      struct packet *whole)
{
    struct datagram *d = is_sound(f) ? find_or_add_datagram(t, f) : NULL;
    enum fit fit = d ? fit_of(d, f) : FIT_USELESS;
    if (fit == FIT_NEW && add_piece(t, d, f))
        return d->data_bytes == d->whole_bytes ? complete(t, d, f->time_ns, whole)
                                               : FRAGMENT_WAITING;

    t->untracked_bytes += fragment_ip_bytes(f);
    if (fit != FIT_USELESS)
        give_up(t, d);
    return FRAGMENT_WAITING;
}

void fragment_table_expire(struct fragment_table *t, uint64_t now_ns)
{
    while (t->datagrams && now_ns > t->datagrams->first_ns &&
           now_ns - t->datagrams->first_ns > t->options.timeout_ns)
        forget(t, t->datagrams);
}

void fragment_table_clear(struct fragment_table *t)
{
    while (t->datagrams)
        forget(t, t->datagrams);
}

uint64_t fragment_table_pending_bytes(const struct fragment_table *t)
{
    return t->pending_bytes;
}

uint64_t fragment_table_take_untracked(struct fragment_table *t)
{
    uint64_t untracked = t->untracked_bytes;
    t->untracked_bytes = 0;
    return untracked;
}
