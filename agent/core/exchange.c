/*
 * A message is open from its first byte. Until its head is read its bytes are
 * kept with the message; then they are charged to its service at once, and what
 * follows as it comes. Between messages bytes go to the last service of their
 * direction, and so do packets without payload; before the first one in their
 * direction, to the first one of the connection.
 *
 * A transaction is referred to by the message of each direction and by the list
 * of those that wait. It is told and freed when the request and the reply have
 * both ended.
 */
#include "core/exchange.h"

#include "core/table.h"

/*
 * Requests that may wait for a reply. Past that their replies are _unknown: a
 * client may pipeline as it likes.
 */
enum {
    WAITING_SURE = 4,            /* of each connection */
    WAITING_MAX = 4096,          /* of a connection, while there is room */
    WAITING_TOTAL_MAX = 1 << 18, /* of all connections, before each has only what is sure */
};

struct exchange *exchange_new(struct exchange_env *env, const struct flow *flow, unsigned client,
                              bool midway)
{
    struct exchange *x = pool_take(&env->exchanges);
    if (!x)
        return NULL;
    *x = (struct exchange){.flow = flow, .client = (uint8_t)client, .midway = midway};
    http_framer_init(&x->side[DIRECTION_IN].framer, HTTP_SIDE_REQUEST);
    http_framer_init(&x->side[DIRECTION_OUT].framer, HTTP_SIDE_REPLY);
    if (midway) {
        x->side[DIRECTION_IN].framer.state = HTTP_STATE_LOST;
        x->side[DIRECTION_OUT].framer.state = HTTP_STATE_LOST;
    }
    return x;
}

struct exchange *exchange_free(struct exchange *x, struct exchange_env *env)
{
    if (!x)
        return NULL;
    http_framer_deinit(&x->side[DIRECTION_IN].framer, &env->pool);
    http_framer_deinit(&x->side[DIRECTION_OUT].framer, &env->pool);
    pool_give(&env->exchanges, x);
    return NULL;
}

void exchange_add_prelude(struct exchange *x, enum direction d, uint64_t control_bytes)
{
    x->prelude[d].control += control_bytes;
}

static void counts_add(struct direction_counts *into, const struct direction_counts *from)
{
    into->bytes += from->bytes;
    into->payload += from->payload;
    into->retransmitted += from->retransmitted;
    into->control += from->control;
    into->packets += from->packets;
}

/* --- where bytes go --------------------------------------------------------- */

/* Charge what belongs to no message. */
static void charge_side(struct exchange *x, struct exchange_env *env, enum direction d,
                        const struct direction_counts *counts)
{
    struct service *s = exchange_service(x, d);
    if (s)
        account_charge(&env->account, s, d, counts);
    else
        counts_add(&x->prelude[d], counts);
}

static void charge(struct exchange *x, struct exchange_env *env, enum direction d,
                   const struct direction_counts *counts)
{
    struct message *m = &x->side[d].message;
    if (m->state == MESSAGE_NONE) {
        charge_side(x, env, d, counts);
        return;
    }
    counts_add(&m->counts, counts);
    if (m->service)
        account_charge(&env->account, m->service, d, counts);
}

static void set_last(struct exchange *x, struct exchange_env *env, struct service *s)
{
    if (x->last == s && x->open)
        return;
    if (x->last && x->open) {
        x->last->open--;
        account_touch(&env->account, x->last);
    }
    s->open++;
    account_touch(&env->account, s);
    x->last = s;
    x->open = true;
}

/* The message's service is known: charge what waited for it. */
static void resolve(struct exchange *x, struct exchange_env *env, enum direction d,
                    struct service *s)
{
    struct message *m = &x->side[d].message;
    m->service = s;
    account_charge(&env->account, s, d, &m->counts);
    x->side[d].service = s;

    if (!x->first) {
        x->first = s;
        for (enum direction p = DIRECTION_IN; p <= DIRECTION_OUT; p++)
            account_charge(&env->account, s, p, &x->prelude[p]);
        memset(x->prelude, 0, sizeof(x->prelude));
    }
    set_last(x, env, s);
    x->verdict = EXCHANGE_HTTP;
}

/* --- transactions ----------------------------------------------------------- */

static bool wants_words(const struct exchange_env *env)
{
    return env->observer.message || env->observer.transaction;
}

static void stop_waiting(struct exchange *x, struct exchange_env *env, struct transaction *t)
{
    if (!t->waiting)
        return;
    DL_DELETE(x->waiting, t);
    x->waiting_count--;
    env->waiting_count--;
    t->waiting = false;
}

static struct address address_of(const struct exchange *x, unsigned side)
{
    struct address a = {.port = x->flow->port[side]};
    memcpy(a.address, x->flow->address[side], sizeof(a.address));
    return a;
}

/* Tell and free @t if both its messages have ended. */
static void end_transaction(struct exchange *x, struct exchange_env *env, struct transaction *t)
{
    if (!t->request_ended || !t->reply_ended)
        return;
    if (t->status)
        transaction_tell_message(t, DIRECTION_OUT, &env->observer);
    struct address client = address_of(x, x->client);
    struct address server = address_of(x, !x->client);
    transaction_tell(t, &client, &server, &env->observer);
    transaction_free(t, &env->transactions);
}

/* No reply will come. */
static void give_up_reply(struct exchange *x, struct exchange_env *env, struct transaction *t)
{
    stop_waiting(x, env, t);
    t->reply_ended = true;
    if (t->service) {
        t->service->total.unanswered++;
        account_touch(&env->account, t->service);
    }
    end_transaction(x, env, t);
}

/* The message in direction @d is over, and so may be its transaction. */
static void end_message(struct exchange *x, struct exchange_env *env, enum direction d)
{
    struct message *m = &x->side[d].message;
    struct transaction *t = m->transaction;
    bool interim = m->interim;
    if (m->state == MESSAGE_NONE)
        return;
    m->state = MESSAGE_NONE;
    if (!t)
        return;

    counts_add(&t->counts[d], &m->counts);
    if (d == DIRECTION_OUT) {
        t->reply_ended = !interim;
    } else {
        t->request_ended = true;
        transaction_tell_message(t, DIRECTION_IN, &env->observer);
    }
    end_transaction(x, env, t);
}

/* --- events ------------------------------------------------------------------ */

/* Where in a stream we are. */
struct position {
    uint32_t seq;
    uint32_t ack;
    uint64_t time_ns;
};

static bool may_wait(const struct exchange *x, const struct exchange_env *env)
{
    return x->waiting_count < WAITING_SURE ||
           (x->waiting_count < WAITING_MAX && env->waiting_count < WAITING_TOTAL_MAX);
}

static void start_message(struct exchange *x, struct exchange_env *env, enum direction d,
                          const struct position *at)
{
    end_message(x, env, d);
    struct message *m = &x->side[d].message;
    *m = (struct message){
        .state = MESSAGE_OPEN, .seq = at->seq, .ack = at->ack, .time_ns = at->time_ns};
    if (d == DIRECTION_OUT)
        return;

    struct transaction *t = transaction_new(&env->transactions);
    if (!t)
        return;
    m->transaction = t;
    t->seq = at->seq;
    t->ack = at->ack;
    t->time_ns = at->time_ns;
    bool late = x->unasked && seq_compare(at->seq, x->unasked_ack) < 0;
    x->unasked = late;
    if (late) {
        t->reply_ended = true; /* its reply was taken for _unknown */
        return;
    }
    if (x->unpaired_count || !may_wait(x, env)) {
        t->unpaired = true;
        t->reply_ended = true;
        x->unpaired_count++;
        return;
    }
    t->waiting = true;
    DL_APPEND(x->waiting, t);
    x->waiting_count++;
    env->waiting_count++;
}

/* What had started was no message: its bytes stay with the one before. */
static void abandon_message(struct exchange *x, struct exchange_env *env, enum direction d)
{
    struct message *m = &x->side[d].message;
    env->account.total.heads_cut += x->verdict == EXCHANGE_HTTP;
    if (m->service) { /* but a reply came to it */
        end_message(x, env, d);
        return;
    }
    m->state = MESSAGE_NONE;
    if (m->transaction) {
        stop_waiting(x, env, m->transaction);
        x->unpaired_count -= m->transaction->unpaired;
        transaction_free(m->transaction, &env->transactions);
    }
    charge_side(x, env, d, &m->counts);
}

static struct service *classify(struct exchange_env *env, const struct http_head *head)
{
    if (head->tag && *head->tag)
        return *head->tag;
    struct rule_request request = {.target = head->target, .host = head->host};
    struct service_name name;
    if (rule_set_match(env->rules, &request, &name) == RULE_NONE)
        return env->account.unspecified;
    struct service *s = account_service(&env->account, &name);
    if (head->tag && s != env->account.other) /* each request that is folded counts */
        *head->tag = s;
    return s;
}

static void read_request(struct exchange *x, struct exchange_env *env, const struct http_head *head)
{
    struct message *m = &x->side[DIRECTION_IN].message;
    if (!m->service)
        resolve(x, env, DIRECTION_IN, classify(env, head));
    m->service->total.requests++;
    account_touch(&env->account, m->service);

    struct transaction *t = m->transaction;
    if (!t)
        return;
    transaction_set_request(t, head, wants_words(env));
    if (t->reply_ended && !t->service) /* given up before it was read */
        m->service->total.unanswered++;
    t->service = m->service;
}

/*
 * After lost replies the next one may answer a later request. The client sent
 * that request when it had received all replies before: its acknowledgment then
 * is the latest that is not beyond this reply.
 */
static void skip_lost_replies(struct exchange *x, struct exchange_env *env,
                              const struct message *reply)
{
    struct transaction *answered = x->waiting, *t;
    DL_FOREACH (x->waiting, t)
        if (t != x->waiting && seq_compare(t->ack, reply->seq) <= 0 &&
            seq_compare(t->ack, t->prev->ack) > 0 && seq_compare(reply->ack, t->seq) > 0)
            answered = t;
    while (x->waiting != answered)
        give_up_reply(x, env, x->waiting);
}

/* The request that @reply answers, or NULL. */
static struct transaction *find_request(struct exchange *x, struct exchange_env *env,
                                        const struct message *reply)
{
    if (x->replies_lost)
        skip_lost_replies(x, env, reply);
    struct transaction *t = x->waiting;
    if (!t || seq_compare(reply->ack, t->seq) <= 0)
        return NULL; /* its sender had not seen that request */
    return t;
}

/* A transaction for a reply whose request nobody saw. */
static struct transaction *orphan_new(struct exchange_env *env, const struct message *reply)
{
    struct transaction *t = transaction_new(&env->transactions);
    if (!t)
        return NULL;
    t->time_ns = reply->time_ns;
    t->request_ended = true;
    return t;
}

/* A reply may have the requests go on, but no request has anything of the replies do so. */
static void take_all(struct exchange *x, struct exchange_env *env, enum direction d,
                     struct bytes in, struct position at, struct direction_counts carry);

/* Requests that might have changed the protocol did not. */
static void release_requests(struct exchange *x, struct exchange_env *env,
                             const struct transaction *t)
{
    struct exchange_side *in = &x->side[DIRECTION_IN];
    if (!t || in->message.transaction != t || in->message.state == MESSAGE_NONE)
        return;
    http_framer_release(&in->framer);
    take_all(x, env, DIRECTION_IN, (struct bytes){0}, (struct position){0},
             (struct direction_counts){0});
}

static void start_tunnel(struct exchange *x, struct exchange_env *env)
{
    http_framer_tunnel(&x->side[DIRECTION_OUT].framer);
    http_framer_tunnel(&x->side[DIRECTION_IN].framer);
    take_all(x, env, DIRECTION_IN, (struct bytes){0}, (struct position){0},
             (struct direction_counts){0});
}

static void read_interim(struct exchange *x, struct exchange_env *env, struct transaction *t,
                         unsigned status)
{
    struct message *m = &x->side[DIRECTION_OUT].message;
    m->interim = true;
    m->transaction = t;
    if (t && t->interim_count < INTERIM_MAX)
        t->interim[t->interim_count++] = (uint16_t)status;
    resolve(x, env, DIRECTION_OUT, t ? t->service : env->account.unknown);
}

static void read_final(struct exchange *x, struct exchange_env *env, struct transaction *t,
                       const struct http_head *head)
{
    struct message *m = &x->side[DIRECTION_OUT].message;
    x->replies_lost = false;
    if (t) {
        stop_waiting(x, env, t);
    } else if (!x->waiting && x->unpaired_count) {
        x->unpaired_count--;
    } else {
        x->unasked = true;
        x->unasked_ack = m->ack;
    }
    struct service *s = t ? t->service : env->account.unknown;
    bool tunnel = head->status == 101 || (t && t->connect && head->status / 100 == 2);
    bool headless = t && t->headless;

    struct transaction *answered = t ? t : orphan_new(env, m);
    m->transaction = answered;
    if (answered) {
        answered->service = s;
        answered->reply_time_ns = m->time_ns;
        transaction_set_reply(answered, head, wants_words(env));
    }
    resolve(x, env, DIRECTION_OUT, s);
    if (t && m->time_ns >= t->time_ns)
        s->ttfb.buckets[ttfb_bucket(m->time_ns - t->time_ns)]++;

    if (tunnel) {
        start_tunnel(x, env);
        return;
    }
    if (headless)
        http_framer_no_body(&x->side[DIRECTION_OUT].framer);
    release_requests(x, env, t);
}

static void read_reply(struct exchange *x, struct exchange_env *env, const struct http_head *head)
{
    struct message *m = &x->side[DIRECTION_OUT].message;
    struct transaction *t = find_request(x, env, m);
    if (t && !t->service) { /* a reply to half a head: what it asks for is not known */
        t->service = env->account.unknown;
        resolve(x, env, DIRECTION_IN, t->service);
    }

    if (head->status / 100 == 1 && head->status != 101)
        read_interim(x, env, t, head->status);
    else
        read_final(x, env, t, head);

    unsigned status_class = head->status / 100;
    if (status_class >= 1 && status_class <= STATUS_CLASSES)
        m->service->total.replies[status_class - 1]++;
}

static void handle(struct exchange *x, struct exchange_env *env, enum direction d,
                   const struct http_event *event, const struct position *at)
{
    switch (event->kind) {
    case HTTP_EVENT_START:
        start_message(x, env, d, at);
        break;
    case HTTP_EVENT_HEAD:
        env->account.total.heads_cut += event->head.cut;
        if (d == DIRECTION_IN)
            read_request(x, env, &event->head);
        else
            read_reply(x, env, &event->head);
        break;
    case HTTP_EVENT_ABANDON:
        abandon_message(x, env, d);
        break;
    case HTTP_EVENT_END:
        x->side[d].message.state = MESSAGE_ENDED;
        break;
    }
}

/*
 * Hand @in to the framer and charge its bytes as they turn out to belong.
 * @carry, the headers of the packet, goes with the first of them.
 */
static void take_all(struct exchange *x, struct exchange_env *env, enum direction d,
                     struct bytes in, struct position at, struct direction_counts carry)
{
    struct http_event event;
    enum http_step step;
    do {
        size_t before = in.size;
        step = http_framer_step(&x->side[d].framer, &env->pool, &in, &event);
        size_t size = before - in.size;
        if (size) {
            carry.bytes += size;
            carry.payload = size;
            charge(x, env, d, &carry);
            carry = (struct direction_counts){0};
            at.seq += (uint32_t)size;
        }
        if (step == HTTP_STEP_EVENT)
            handle(x, env, d, &event, &at);
    } while (step == HTTP_STEP_EVENT);
}

/* --- what comes in ----------------------------------------------------------- */

/* Bytes of the stream that the framer does not get to see. */
static void skip(struct exchange *x, struct exchange_env *env, enum direction d, uint32_t size,
                 const struct direction_counts *counts)
{
    charge(x, env, d, counts);
    http_framer_skip(&x->side[d].framer, size);
    take_all(x, env, d, (struct bytes){0}, (struct position){0}, (struct direction_counts){0});
}

/* Of @size bytes in direction @d no one knows what they are. */
static void lose(struct exchange *x, enum direction d, uint32_t size)
{
    if (d == DIRECTION_OUT && !http_framer_skips(&x->side[d].framer, size))
        x->replies_lost = true;
}

/*
 * After each piece: end what has ended, one direction may have ended a message
 * of the other. And if what came was no message, no one knows that it is HTTP.
 */
static void settle(struct exchange *x, struct exchange_env *env)
{
    bool open = false;
    bool lost = false;
    for (enum direction d = DIRECTION_IN; d <= DIRECTION_OUT; d++) {
        if (x->side[d].message.state == MESSAGE_ENDED && !env->observer.patient)
            end_message(x, env, d);
        open |= x->side[d].message.state == MESSAGE_OPEN;
        lost |= x->side[d].framer.state == HTTP_STATE_LOST;
    }
    x->replies_lost |= x->side[DIRECTION_OUT].framer.state == HTTP_STATE_LOST;
    if (x->verdict != EXCHANGE_HTTP)
        x->verdict = lost && !open ? EXCHANGE_NOT_HTTP : EXCHANGE_UNDECIDED;
}

/* Bytes that were there before belong to the message that they were part of. */
static void charge_repeated(struct exchange *x, struct exchange_env *env, enum direction d,
                            uint32_t seq, const struct direction_counts *counts)
{
    const struct message *m = &x->side[d].message;
    if (m->state != MESSAGE_NONE && seq_compare(seq, m->seq) >= 0)
        charge(x, env, d, counts);
    else
        charge_side(x, env, d, counts);
}

/*
 * Sequence numbers compare within 2 GiB only: a longer message is treated as if it
 * had begun a GiB ago. Nothing older is repeated, and all of it was acknowledged.
 */
static void follow(struct exchange *x, enum direction d, uint32_t seq)
{
    struct message *m = &x->side[d].message;
    if (m->state == MESSAGE_NONE || seq - m->seq < 1u << 30)
        return;
    m->seq = seq - (1u << 30);
    if (d == DIRECTION_IN && m->transaction)
        m->transaction->seq = m->seq;
}

void exchange_segment(struct exchange *x, struct exchange_env *env, enum direction d,
                      const struct segment *segment)
{
    struct exchange_side *side = &x->side[d];
    struct direction_counts carry = {.bytes = segment->header_bytes, .packets = segment->packets};
    follow(x, d, segment->seq);
    if (segment->repeated) {
        carry.bytes += segment->repeated;
        carry.retransmitted = segment->kept ? 0 : segment->repeated;
        charge_repeated(x, env, d, segment->seq - segment->repeated, &carry);
        carry = (struct direction_counts){0};
    } else if (side->framer.state == HTTP_STATE_LOST) {
        http_framer_segment(&side->framer, segment->data);
        env->account.total.resumed += side->framer.state != HTTP_STATE_LOST;
    } else {
        http_framer_segment(&side->framer, segment->data);
    }

    http_framer_expect(&side->framer, d == DIRECTION_OUT && x->waiting);
    struct position at = {segment->seq, segment->ack, segment->time_ns};
    take_all(x, env, d, segment->data, at, carry);
    if (segment->data.size)
        carry = (struct direction_counts){0};

    uint32_t missing = segment->size - (uint32_t)segment->data.size;
    if (missing) {
        carry.bytes += missing;
        carry.payload += missing;
        if (!env->filtered)
            lose(x, d, missing);
        skip(x, env, d, missing, &carry);
    }
    settle(x, env);
}

void exchange_repeat(struct exchange *x, struct exchange_env *env, enum direction d,
                     const struct segment *segment, bool outside)
{
    struct direction_counts counts = {
        .bytes = (uint64_t)segment->header_bytes + segment->size,
        .retransmitted = outside || segment->kept ? 0 : segment->size,
        .packets = segment->packets,
    };
    charge_repeated(x, env, d, segment->seq, &counts);
}

void exchange_hole(struct exchange *x, struct exchange_env *env, enum direction d, uint32_t size,
                   bool received)
{
    x->midway = true;
    lose(x, d, size);
    skip(x, env, d, size, &(struct direction_counts){.payload = received ? size : 0});
    env->account.total.gaps++;
    settle(x, env);
}

void exchange_control(struct exchange *x, struct exchange_env *env, enum direction d,
                      uint64_t ip_bytes)
{
    struct service *s = exchange_service(x, d);
    struct direction_counts counts = {.control = ip_bytes};
    if (s)
        account_charge(&env->account, s, d, &counts);
    else
        counts_add(&x->prelude[d], &counts);
}

void exchange_finish(struct exchange *x, struct exchange_env *env, enum direction d)
{
    http_framer_finish(&x->side[d].framer);
    take_all(x, env, d, (struct bytes){0}, (struct position){0}, (struct direction_counts){0});
    end_message(x, env, d);
    settle(x, env);
}

/* Nothing of the connection was HTTP. */
static void write_off(struct exchange *x, struct exchange_env *env)
{
    uint64_t ip_bytes = 0;
    for (enum direction d = DIRECTION_IN; d <= DIRECTION_OUT; d++) {
        struct message *m = &x->side[d].message;
        if (m->state != MESSAGE_NONE && !m->service)
            counts_add(&x->prelude[d], &m->counts);
        if (m->transaction && m->state != MESSAGE_NONE && !m->service) {
            stop_waiting(x, env, m->transaction);
            transaction_free(m->transaction, &env->transactions);
        }
        m->state = MESSAGE_NONE;
        ip_bytes += x->prelude[d].bytes + x->prelude[d].control;
        x->prelude[d] = (struct direction_counts){0};
    }
    account_not_http(&env->account, ip_bytes);
}

void exchange_close(struct exchange *x, struct exchange_env *env)
{
    exchange_finish(x, env, DIRECTION_IN);
    exchange_finish(x, env, DIRECTION_OUT);
    while (x->waiting)
        give_up_reply(x, env, x->waiting);
    if (x->verdict != EXCHANGE_HTTP) {
        x->verdict = EXCHANGE_NOT_HTTP;
        write_off(x, env);
    }
    if (x->last && x->open) {
        x->last->open--;
        account_touch(&env->account, x->last);
        x->open = false;
    }
}

void exchange_keep_services(const struct exchange *x)
{
    account_keep(x->first);
    account_keep(x->last);
    for (enum direction d = DIRECTION_IN; d <= DIRECTION_OUT; d++) {
        const struct message *m = &x->side[d].message;
        account_keep(x->side[d].service);
        account_keep(m->service);
        if (m->state != MESSAGE_NONE && m->transaction)
            account_keep(m->transaction->service);
    }
    const struct transaction *t;
    DL_FOREACH (x->waiting, t)
        account_keep(t->service);
}
