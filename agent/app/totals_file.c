/*
 * A file is read twice: once to see that all of it is right, then to take it.
 */
#include "app/totals_file.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>

#include "app/json.h"

enum { VERSION = 1 };

/* What is wrong is said where it is found, for the first time. */
struct reading {
    struct text *error;
    uint64_t service_bytes; /* of all services */
    uint64_t charged_bytes; /* the same, of all interfaces */
};

void totals_file_write(struct text *t, struct ledger *l, const struct console_moment *now)
{
    text_printf(t, "{\"httpacct\":\"totals\",\"version\":%d,", VERSION);
    console_json_moment(t, now);
    console_json_totals(t, l, TOTALS_FILE_SERVICES);
    console_json_end(t);
}

static bool fail(struct text *error, const char *what, const char *name)
{
    if (error->size == 0)
        text_printf(error, "%s %s", what, name);
    return false;
}

static bool read_number(const json_t *object, const char *name, uint64_t *out, struct text *error)
{
    const json_t *number = json_object_get(object, name);
    if (!json_is_integer(number) || json_integer_value(number) < 0)
        return fail(error, "no number", name);
    *out = (uint64_t)json_integer_value(number);
    return true;
}

static bool read_direction(const json_t *service, const char *name, struct direction_counts *c,
                           struct text *error)
{
    const json_t *object = json_object_get(service, name);
    bool good = true;
#define READ_MEMBER(member, unit) good = good && read_number(object, #member, &c->member, error);
    DIRECTION_COUNTS(READ_MEMBER)
#undef READ_MEMBER
    return good;
}

static bool read_counts(const json_t *service, struct service_counts *c, struct text *error)
{
    const json_t *replies = json_object_get(service, "replies");
    bool good = read_direction(service, "in", &c->direction[DIRECTION_IN], error) &&
                read_direction(service, "out", &c->direction[DIRECTION_OUT], error) &&
                read_number(service, "requests", &c->requests, error) &&
                read_number(service, "unanswered", &c->unanswered, error);
    for (unsigned i = 0; good && i < STATUS_CLASSES; i++) {
        const char key[] = {(char)('1' + i), 'x', 'x', '\0'};
        good = read_number(replies, key, &c->replies[i], error);
    }
    return good;
}

static bool is_service_name(const char *name)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t size = strlen(name);
    return size > 0 && size <= SERVICE_NAME_MAX && strspn(name, allowed) == size;
}

static bool read_service(const json_t *object, struct service_name *name, struct service_counts *c,
                         struct text *error)
{
    const char *text = json_string_value(json_object_get(object, "name"));
    if (!text || !is_service_name(text))
        return fail(error, "a service without a", "name");
    strcpy(name->text, text);
    return read_counts(object, c, error);
}

struct interface_record {
    const char *name;
    struct interface_counts counts;
    uint64_t service_bytes;
};

static bool read_interface(const json_t *object, struct interface_record *i, struct text *error)
{
    uint64_t pending_bytes = 0;
    i->name = json_string_value(json_object_get(object, "name"));
    if (!i->name || !*i->name || strlen(i->name) >= IF_NAMESIZE)
        return fail(error, "an interface without a", "name");
    bool good = true;
#define READ_MEMBER(member) good = good && read_number(object, #member, &i->counts.member, error);
    BALANCE_COUNTS(READ_MEMBER)
    ENGINE_COUNTS(READ_MEMBER)
#undef READ_MEMBER
    good = good && read_number(object, "service_bytes", &i->service_bytes, error) &&
           read_number(object, "pending_bytes", &pending_bytes, error);
    i->counts.tcp_bytes -= pending_bytes;
    uint64_t known = i->service_bytes + i->counts.not_http_bytes + i->counts.untracked_bytes +
                     i->counts.duplicate_bytes;
    if (good && i->counts.tcp_bytes != known)
        return fail(error, "the books don't balance of", i->name);
    return good;
}

/* Read all services, and put them into @l if that is not NULL. */
static bool read_services(const json_t *root, struct ledger *l, struct reading *r)
{
    size_t at;
    const json_t *object, *services = json_object_get(root, "services");
    if (!json_is_array(services))
        return fail(r->error, "no", "services");
    json_array_foreach(services, at, object)
    {
        struct service_name name;
        struct service_counts counts = {0};
        if (!read_service(object, &name, &counts, r->error))
            return false;
        r->service_bytes += service_counts_ip_bytes(&counts);
        if (l)
            ledger_restore_service(l, &name, &counts);
    }
    return true;
}

static bool read_left_out(const json_t *root, struct ledger *l, struct reading *r)
{
    const json_t *rest = json_object_get(root, "services_left_out");
    const struct service_name other = {SERVICE_OTHER};
    struct service_counts counts = {0};
    if (!rest)
        return true;
    if (!read_counts(rest, &counts, r->error))
        return false;
    r->service_bytes += service_counts_ip_bytes(&counts);
    if (l)
        ledger_restore_service(l, &other, &counts);
    return true;
}

static bool read_interfaces(const json_t *root, struct ledger *l, struct reading *r)
{
    size_t at;
    const json_t *object, *interfaces = json_object_get(root, "interfaces");
    if (!json_is_array(interfaces))
        return fail(r->error, "no", "interfaces");
    json_array_foreach(interfaces, at, object)
    {
        struct interface_record i = {0};
        if (!read_interface(object, &i, r->error))
            return false;
        r->charged_bytes += i.service_bytes;
        if (l)
            ledger_restore_interface(l, i.name, &i.counts, i.service_bytes);
    }
    return true;
}

static bool read_all(const json_t *root, struct ledger *l, struct text *error)
{
    struct reading r = {.error = error};
    if (!read_services(root, l, &r) || !read_left_out(root, l, &r) || !read_interfaces(root, l, &r))
        return false;
    if (r.service_bytes != r.charged_bytes)
        return fail(error, "the books don't balance of", "services and interfaces");
    return true;
}

static bool check_head(const json_t *root, uint64_t *since_ns, struct text *error)
{
    const char *kind = json_string_value(json_object_get(root, "httpacct"));
    const json_t *version = json_object_get(root, "version");
    double since = json_number_value(json_object_get(root, "since"));
    if (!kind || strcmp(kind, "totals") != 0)
        return fail(error, "not a file of", "httpacct's totals");
    if (!json_is_integer(version) || json_integer_value(version) != VERSION)
        return fail(error, "it is of another", "version");
    if (!(since > 0 && since < 1e10))
        return fail(error, "no time", "since");
    *since_ns = (uint64_t)(since * 1e6 + 0.5) * 1000;
    return true;
}

int totals_file_read(struct ledger *l, struct bytes content, uint64_t *since_ns, struct text *error)
{
    json_error_t wrong;
    const char *data = content.size ? (const char *)content.data : ""; /* jansson wants no NULL */
    AUTO(json_decref) json_t *root = json_loadb(data, content.size, JSON_REJECT_DUPLICATES, &wrong);
    if (!root) {
        text_printf(error, "line %d: %s", wrong.line, wrong.text);
        return -EINVAL;
    }
    if (!check_head(root, since_ns, error) || !read_all(root, NULL, error))
        return -EINVAL;
    read_all(root, l, error);
    return 0;
}
