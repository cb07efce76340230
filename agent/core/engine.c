/*
 * Which table a packet belongs to: sessions (HTTP), or embryos (what may become
 * one, and what is not HTTP).
 */
#include "core/engine.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "core/account.h"
#include "core/embryo.h"
#include "core/flow_hash.h"
#include "core/fragment.h"
#include "core/http.h"
#include "core/kept.h"
#include "core/pool.h"
#include "core/port_watch.h"
#include "core/seen.h"
#include "core/session.h"

enum {
    EMBRYOS_MAX = 16384,
    EARLY_BYTES_MAX = 64 << 20,     /* of early segments, all sessions together */
    FRAGMENTED_DATAGRAMS_MAX = 512, /* incomplete ones at a time */
    FRAGMENT_BYTES_MAX = 8 << 20,
    SPARE_SESSIONS_MAX = 1024,
    SPARES_MAX = 64, /* exchanges and transactions: most last for a few packets */
};

static const uint64_t FRAGMENT_TIMEOUT_NS = 30 * 1000000000ull; /* as Linux has it */

/* How long after its end a session waits for late packets: a few retransmissions. */
static const uint64_t LINGER_NS = 3 * 1000000000ull; /* unless the options say otherwise */

struct engine {
    struct engine_options options;
    struct session_env env;
    struct port_watch ports;
    struct session *sessions; /* uthash by flow */
    struct session *open;     /* both lists: the longest idle first */
    struct session *closed;
    uint32_t open_count;
    struct embryo_table embryos;
    struct kept_table kept;
    struct fragment_table *fragments;
    struct filter_counts seen;
    uint64_t forgot_ns; /* when services were forgotten for the last time */
};

int engine_new(struct engine **out, const struct engine_options *options)
{
    AUTO(engine_free) struct engine *e = calloc(1, sizeof(*e));
    if (!e)
        return -ENOMEM;
    e->options = *options;
    port_watch_init(&e->ports, &options->ports);
    e->env.budget.bytes_max = EARLY_BYTES_MAX;
    e->env.exchange.rules = options->rules;
    e->env.exchange.observer = options->observer;
    e->env.exchange.filtered = options->offload.order != NULL;
    pool_init(&e->env.sessions, sizeof(struct session), SPARE_SESSIONS_MAX);
    pool_init(&e->env.exchange.exchanges, sizeof(struct exchange), SPARES_MAX);
    pool_init(&e->env.exchange.transactions, sizeof(struct transaction), SPARES_MAX);
    http_pool_init(&e->env.exchange.pool);
    e->env.exchange.pool.memo.seed = options->hash_seed;
    embryo_table_init(&e->embryos, EMBRYOS_MAX, options->hash_seed);
    kept_table_init(&e->kept, options->hash_seed);

    int error = account_init(&e->env.exchange.account, options->services_max, options->hash_seed);
    if (error)
        return error;
    error = fragment_table_new(&e->fragments, &(struct fragment_options){
                                                  .datagrams_max = FRAGMENTED_DATAGRAMS_MAX,
                                                  .bytes_max = FRAGMENT_BYTES_MAX,
                                                  .timeout_ns = FRAGMENT_TIMEOUT_NS,
                                                  .hash_seed = options->hash_seed,
                                              });
    if (error)
        return error;
    *out = TAKE(e);
    return 0;
}

static struct account *account_of(struct engine *e)
{
    return &e->env.exchange.account;
}

/* --- sessions ----------------------------------------------------------------- */

static struct session *find_session(const struct engine *e, const struct flow *flow)
{
    struct session *s;
    HASH_FIND_BYHASHVALUE(hh, e->sessions, flow, sizeof(*flow),
                          flow_hash(flow, e->options.hash_seed), s);
    return s;
}

static void unlist(struct engine *e, struct session *s, bool was_closed)
{
    if (was_closed) {
        DL_DELETE(e->closed, s);
    } else {
        DL_DELETE(e->open, s);
        e->open_count--;
    }
}

/* Close and forget @s: what it owed is charged. */
static void remove_session(struct engine *e, struct session *s)
{
    unlist(e, s, s->closed);
    session_close(s, &e->env);
    HASH_DEL(e->sessions, s);
    session_free(s, &e->env);
}

/* Make room: what has closed goes first. */
static void evict_session(struct engine *e)
{
    if (!e->closed)
        account_of(e)->total.sessions_evicted++;
    remove_session(e, e->closed ? e->closed : e->open);
}

/* Forget up to @max sessions that have lingered long enough at @now_ns. */
static void expire_closed(struct engine *e, uint64_t now_ns, unsigned max)
{
    uint64_t linger_ns = e->options.linger_ns ? e->options.linger_ns : LINGER_NS;
    uint64_t closed_since = now_ns > linger_ns ? now_ns - linger_ns : 0;
    while (max-- && e->closed && e->closed->seen_ns < closed_since)
        remove_session(e, e->closed);
}

/* Where connections are short one goes as one comes, so that its memory is used again. */
static struct session *add_session(struct engine *e, struct embryo *embryo, unsigned client)
{
    expire_closed(e, embryo->seen_ns, 2);
    while (e->sessions && HASH_COUNT(e->sessions) >= e->options.sessions_max)
        evict_session(e);
    struct session *s = session_new(embryo, client, &e->env);
    if (!s)
        return NULL;
    HASH_ADD_BYHASHVALUE(hh, e->sessions, flow, sizeof(s->flow),
                         flow_hash(&s->flow, e->options.hash_seed), s);
    if (!s->hh.tbl) {
        session_close(s, &e->env);
        session_free(s, &e->env);
        return NULL;
    }
    DL_APPEND(e->open, s);
    e->open_count++;
    return s;
}

/* It is not HTTP: remember just that. */
static void demote(struct engine *e, struct session *s, uint64_t now_ns)
{
    struct flow flow = s->flow;
    enum embryo_kind kind = s->exchange->midway ? EMBRYO_MIDWAY : EMBRYO_NOT_HTTP;
    uint8_t client = s->client;
    remove_session(e, s);

    uint64_t forgotten;
    struct embryo *embryo = embryo_table_add(&e->embryos, &flow, now_ns, &forgotten);
    account_untracked(account_of(e), forgotten);
    if (!embryo)
        return;
    embryo->kind = kind;
    embryo->client = client;
}

static void relist_session(struct engine *e, struct session *s)
{
    DL_DELETE(e->open, s);
    if (s->closed) {
        e->open_count--;
        DL_APPEND(e->closed, s);
    } else {
        DL_APPEND(e->open, s);
    }
}

/* Let the filter keep what the engine need not see, if it comes in bulk. */
static void hand_over(struct engine *e, struct session *s, const struct packet *p)
{
    if (e->options.offload.order && session_hand_over(s, p))
        e->options.offload.order(e->options.offload.context, &s->flow, &s->order);
}

static void take_session_packet(struct engine *e, struct session *s, const struct packet *p)
{
    bool was_closed = s->closed;
    session_packet(s, &e->env, p);
    hand_over(e, s, p);
    if (was_closed)
        return; /* it lingers from its end on, whatever comes late */

    s->seen_ns = p->time_ns;
    relist_session(e, s);
    if (!session_may_be_http(s))
        demote(e, s, p->time_ns);
}

/* --- embryos ------------------------------------------------------------------- */

static bool is_embryo_reused(const struct embryo *embryo, const struct packet *p)
{
    return (p->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN &&
           (!embryo->syn_seen[p->side] || embryo->initial_seq[p->side] != p->seq);
}

static struct embryo *find_embryo(struct engine *e, const struct packet *p)
{
    struct embryo *embryo = embryo_table_find(&e->embryos, &p->flow);
    if (embryo && is_embryo_reused(embryo, p)) {
        account_not_http(account_of(e), embryo_table_remove(&e->embryos, embryo));
        embryo = NULL;
    }
    if (embryo) {
        embryo_table_touch(&e->embryos, embryo, p->time_ns);
        return embryo;
    }

    uint64_t forgotten;
    embryo = embryo_table_add(&e->embryos, &p->flow, p->time_ns, &forgotten);
    account_untracked(account_of(e), forgotten);
    if (embryo)
        embryo->kind = p->flags & TCP_SYN ? EMBRYO_NEW : EMBRYO_MIDWAY;
    return embryo;
}

static void note_syn(struct embryo *embryo, const struct packet *p)
{
    embryo->syn_seen[p->side] = true;
    embryo->initial_seq[p->side] = p->seq;
    embryo->client = (uint8_t)(p->flags & TCP_ACK ? !p->side : p->side);
    if (p->flags & TCP_ACK && !embryo->syn_seen[!p->side]) {
        embryo->syn_seen[!p->side] = true;
        embryo->initial_seq[!p->side] = p->ack - 1;
    }
}

/* A connection that ends without payload was not HTTP. */
static bool ends(struct embryo *embryo, const struct packet *p)
{
    embryo->fin_seen[p->side] |= !!(p->flags & TCP_FIN);
    return p->flags & TCP_RST || (embryo->fin_seen[0] && embryo->fin_seen[1]);
}

/*
 * Whether the payload of @p may begin an HTTP session, and who is its client.
 * Joined in the middle, only a whole start line convinces.
 */
static bool may_begin_session(const struct embryo *embryo, const struct packet *p, unsigned *client)
{
    if (embryo->kind == EMBRYO_MIDWAY) {
        bool request = http_look(HTTP_SIDE_REQUEST, p->payload) == HTTP_LOOK_YES;
        bool reply = !request && http_look(HTTP_SIDE_REPLY, p->payload) == HTTP_LOOK_YES;
        *client = request ? p->side : !p->side;
        return request || reply;
    }
    *client = embryo->client;
    uint32_t seq = p->seq + !!(p->flags & TCP_SYN);
    if (!embryo->syn_seen[p->side] || seq != embryo->initial_seq[p->side] + 1)
        return true; /* not the first byte: later segments will tell */
    enum http_side side = p->side == *client ? HTTP_SIDE_REQUEST : HTTP_SIDE_REPLY;
    return p->payload.size && http_look(side, p->payload) != HTTP_LOOK_NO;
}

static void take_waiting(struct engine *e, const struct flow *flow);

/* Of what is not HTTP, no more than its ends need to be seen. */
static void hand_over_embryo(struct engine *e, struct embryo *embryo, const struct packet *p)
{
    if (!e->options.offload.order || embryo->handed_over || !p->payload_bytes)
        return;
    static const struct filter_order all = {
        .side = {{.kind = FILTER_ORDER_TUNNEL}, {.kind = FILTER_ORDER_TUNNEL}},
    };
    embryo->handed_over = true;
    e->options.offload.order(e->options.offload.context, &embryo->flow, &all);
}

static void take_embryo_packet(struct engine *e, const struct packet *p)
{
    struct account *account = account_of(e);
    struct embryo *embryo = find_embryo(e, p);
    if (!embryo) {
        account_untracked(account, packet_ip_bytes(p));
        return;
    }
    if (p->flags & TCP_SYN)
        note_syn(embryo, p);

    unsigned client;
    if (embryo->kind != EMBRYO_NOT_HTTP && p->payload_bytes &&
        may_begin_session(embryo, p, &client)) {
        struct session *s = add_session(e, embryo, client);
        account_untracked(account, embryo_table_remove(&e->embryos, embryo));
        if (s) {
            take_session_packet(e, s, p);
            take_waiting(e, &p->flow);
        } else {
            account_untracked(account, packet_ip_bytes(p));
        }
        return;
    }

    bool ended = ends(embryo, p);
    if (embryo->kind != EMBRYO_NOT_HTTP && !p->payload_bytes && !ended) {
        embryo->control_bytes[p->side] += packet_ip_bytes(p);
        return;
    }
    account_not_http(account, embryo_take_pending(embryo) + packet_ip_bytes(p));
    if (embryo->kind == EMBRYO_NOT_HTTP)
        hand_over_embryo(e, embryo, p);
    if (embryo->kind == EMBRYO_NEW)
        embryo->kind = EMBRYO_NOT_HTTP;
    if (embryo->kind == EMBRYO_NOT_HTTP)
        take_waiting(e, &p->flow);
}

/* --- what the filter kept --------------------------------------------------------- */

static bool is_nothing(const struct filter_kept *kept)
{
    return !kept->bytes && !kept->control && !kept->payload;
}

/* As if it had been handed in, so that what the filter counted is compared with it. */
static void see_kept(struct engine *e, const struct flow *flow, unsigned side,
                     const struct filter_kept *kept)
{
    enum filter_class class = seen_class(flow, side, &e->ports.ports) + FILTER_KEPT_IN;
    struct filter_count *seen = &e->seen.of[class];
    seen->bytes += kept->bytes;
    seen->control += kept->control;
    seen->packets += kept->packets;
    account_seen(account_of(e), kept->bytes + kept->control);
}

/* Charge what belongs to no session. */
static void charge_kept(struct engine *e, const struct flow *flow, unsigned side,
                        const struct filter_kept *kept)
{
    struct account *a = account_of(e);
    if (embryo_table_find(&e->embryos, flow)) {
        account_not_http(a, kept->bytes + kept->control);
        return;
    }
    struct direction_counts counts = {
        .bytes = kept->bytes, .control = kept->control, .packets = kept->packets};
    bool out = seen_class(flow, side, &e->ports.ports) == FILTER_OUT;
    account_charge(a, a->unknown, out ? DIRECTION_OUT : DIRECTION_IN, &counts);
}

/* @s is the session of @flow, or NULL. */
static void take_kept(struct engine *e, struct session *s, const struct flow *flow, unsigned side,
                      const struct filter_kept *kept)
{
    if (s)
        session_kept(s, &e->env, side, kept);
    else
        charge_kept(e, flow, side, kept);
}

static void take_waits(struct engine *e, struct kept_flow *f)
{
    unsigned side;
    struct filter_kept kept;
    struct session *s = find_session(e, &f->flow);
    while (kept_flow_next(&e->kept, f, &side, &kept))
        take_kept(e, s, &f->flow, side, &kept);
    if (f->last)
        kept_table_remove(&e->kept, f);
}

/*
 * Whether the first payload of @flow has been there, so that it is known what it
 * is, and where it belongs. @s, its session, if it has closed is not: this may be of the
 * next one.
 */
static bool is_decided(const struct engine *e, const struct session *s, const struct flow *flow)
{
    if (s)
        return !s->closed && session_knows_places(s);
    const struct embryo *embryo = embryo_table_find(&e->embryos, flow);
    return embryo && embryo->kind == EMBRYO_NOT_HTTP;
}

/* If it is decided what the flow is, what waited for that is of the same. */
static void take_waiting(struct engine *e, const struct flow *flow)
{
    struct kept_flow *f = kept_table_find_waiting(&e->kept, flow);
    if (f && is_decided(e, find_session(e, flow), flow))
        take_waits(e, f);
}

/* Take what is new of @f, or let it wait. */
static void take_difference(struct engine *e, struct kept_flow *f, const struct flow *flow,
                            unsigned side, const struct filter_kept *kept)
{
    struct session *s = find_session(e, flow);
    bool waits = f && !is_decided(e, s, flow) && kept_flow_wait(&e->kept, f, side, kept) == 0;
    if (!waits)
        take_kept(e, s, flow, side, kept);
}

void engine_kept(struct engine *e, const struct filter_record *record)
{
    struct filter_kept kept;
    unsigned side = record->side & 1;
    struct kept_flow *f = kept_table_take(&e->kept, record, &kept);
    see_kept(e, &record->flow, side, &kept);

    if (!is_nothing(&kept))
        take_difference(e, f, &record->flow, side, &kept);
    if (f && f->last && !f->waits)
        kept_table_remove(&e->kept, f);
}

/* No packet of their connection came: it was lost, or it is not HTTP. */
static void expire_waiting(struct engine *e)
{
    struct kept_flow *f;
    while ((f = kept_table_find_old(&e->kept)))
        take_waits(e, f);
    kept_table_age(&e->kept);
}

bool engine_knows(const struct engine *e, const struct flow *flow)
{
    return find_session(e, flow) || embryo_table_find(&e->embryos, flow);
}

void engine_forget(struct engine *e, const struct flow *flow)
{
    kept_table_forget(&e->kept, flow);
}

/* --- frames ---------------------------------------------------------------------- */

static void take_packet(struct engine *e, const struct packet *p)
{
    account_seen(account_of(e), packet_ip_bytes(p));
    struct session *s = find_session(e, &p->flow);
    if (s && session_is_reused(s, p)) {
        remove_session(e, s);
        s = NULL;
    }
    if (!s) {
        take_embryo_packet(e, p);
        return;
    }
    bool placed = session_knows_places(s);
    take_session_packet(e, s, p);
    if (!placed)
        take_waiting(e, &p->flow);
}

void engine_untracked(struct engine *e, uint64_t ip_bytes)
{
    account_seen(account_of(e), ip_bytes);
    account_untracked(account_of(e), ip_bytes);
}

static void take_fragment(struct engine *e, const struct fragment *f)
{
    struct packet whole;
    seen_fragment(&e->seen, f);
    if (fragment_table_add(e->fragments, f, &whole) == FRAGMENT_COMPLETE &&
        port_watch_of(&e->ports, &whole))
        take_packet(e, &whole);
    engine_untracked(e, fragment_table_take_untracked(e->fragments));
}

void engine_frame(struct engine *e, const struct frame *f)
{
    struct packet p;
    struct fragment fragment;
    const struct port_set *ports;
    switch (packet_decode(f, &p, &fragment)) {
    case PACKET_TCP:
        ports = port_watch_of(&e->ports, &p);
        if (!ports)
            break;
        seen_packet(&e->seen, &p, ports);
        take_packet(e, &p);
        break;
    case PACKET_FRAGMENT:
        take_fragment(e, &fragment);
        break;
    case PACKET_MALFORMED:
        engine_untracked(e, packet_ip_bytes(&p));
        break;
    case PACKET_OTHER:
        break;
    }
}

const struct filter_counts *engine_seen(const struct engine *e)
{
    return &e->seen;
}

void engine_lost(struct engine *e, const struct engine_lost *lost)
{
    struct account *a = account_of(e);
    a->total.ring_drops += lost->ring_drops;
    account_duplicate(a, lost->duplicate_bytes);
    for (enum direction d = DIRECTION_IN; d <= DIRECTION_OUT; d++) {
        struct direction_counts counts = lost->direction[d];
        if (counts.bytes + counts.control + counts.packets == 0)
            continue;
        account_seen(a, counts.bytes + counts.control);
        account_charge(a, a->unknown, d, &counts);
    }
}

/* --- changes ---------------------------------------------------------------------- */

void engine_change(struct engine *e, const struct engine_options *options)
{
    http_memo_clear(&e->env.exchange.pool.memo); /* its tags are what the former rules said */
    e->env.exchange.rules = options->rules;
    e->options.rules = options->rules;
    e->options.session_timeout_ns = options->session_timeout_ns;
    e->options.sessions_max = options->sessions_max;
    while (HASH_COUNT(e->sessions) > e->options.sessions_max)
        evict_session(e);
    e->options.services_idle_ns = options->services_idle_ns;
    account_of(e)->services_max = options->services_max;
}

int engine_set_ports(struct engine *e, const struct port_set *ports, uint64_t now_ns)
{
    return port_watch_change(&e->ports, ports, now_ns);
}

/*
 * Nothing more comes of connections that are not watched any longer. If they
 * are again, what passed meanwhile must not look like a gap in them.
 */
static void end_unwatched(struct engine *e)
{
    struct session *s, *next;
    HASH_ITER (hh, e->sessions, s, next)
        if (!port_watch_has_flow(&e->ports, &s->flow))
            remove_session(e, s);
}

/* --- time ------------------------------------------------------------------------- */

void engine_expire(struct engine *e, uint64_t now_ns)
{
    if (port_watch_settle(&e->ports, now_ns))
        end_unwatched(e);
    uint64_t timeout_ns = e->options.session_timeout_ns;
    uint64_t idle_since = now_ns > timeout_ns ? now_ns - timeout_ns : 0;
    while (e->open && e->open->seen_ns < idle_since)
        remove_session(e, e->open);
    expire_closed(e, now_ns, UINT_MAX);
    expire_waiting(e);
    account_not_http(account_of(e), embryo_table_expire(&e->embryos, idle_since));
    fragment_table_expire(e->fragments, now_ns);
    engine_untracked(e, fragment_table_take_untracked(e->fragments));
}

void engine_finish(struct engine *e)
{
    expire_waiting(e); /* ages the rest */
    expire_waiting(e);
    while (e->open)
        remove_session(e, e->open);
    while (e->closed)
        remove_session(e, e->closed);
    account_not_http(account_of(e), embryo_table_expire(&e->embryos, UINT64_MAX));
    fragment_table_clear(e->fragments);
    engine_untracked(e, fragment_table_take_untracked(e->fragments));
    account_end(account_of(e));
}

/*
 * Sessions are asked which services they need, so that those need not be counted
 * with every message: it is seldom done.
 */
static void forget_services(struct engine *e, uint64_t now_ns)
{
    uint64_t idle_ns = e->options.services_idle_ns;
    if (idle_ns == 0 || now_ns < e->forgot_ns + idle_ns / 8 || now_ns < idle_ns)
        return;
    e->forgot_ns = now_ns;
    const struct session *s;
    DL_FOREACH (e->open, s)
        session_keep_services(s);
    DL_FOREACH (e->closed, s)
        session_keep_services(s);
    http_memo_clear(&e->env.exchange.pool.memo); /* its tags are services */
    account_forget(account_of(e), now_ns - idle_ns);
}

struct report *engine_report(struct engine *e, uint64_t now_ns)
{
    struct report *r = account_report(account_of(e), e->options.interface, now_ns, e->open_count);
    forget_services(e, now_ns);
    return r;
}

struct engine *engine_free(struct engine *e)
{
    if (!e)
        return NULL;
    if (e->fragments)
        engine_finish(e);
    embryo_table_deinit(&e->embryos);
    kept_table_deinit(&e->kept);
    fragment_table_free(e->fragments);
    account_deinit(account_of(e));
    http_pool_deinit(&e->env.exchange.pool);
    port_watch_deinit(&e->ports);
    pool_deinit(&e->env.exchange.transactions);
    pool_deinit(&e->env.exchange.exchanges);
    pool_deinit(&e->env.sessions);
    free(e);
    return NULL;
}
