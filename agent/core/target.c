#include "core/target.h"

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_alpha(uint8_t c)
{
    c |= 0x20;
    return c >= 'a' && c <= 'z';
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

/* Take all before the first @end, or all there is, off @in. */
static struct bytes take_until(struct bytes *in, char end)
{
    const uint8_t *found = in->size ? memchr(in->data, end, in->size) : NULL;
    return bytes_take(in, found ? (size_t)(found - in->data) : in->size);
}

/* Take the last @start, or nothing of the kind, and all that follows off @in. Returns what follows.
 */
static struct bytes take_after_last(struct bytes *in, char start)
{
    const uint8_t *found = in->size ? memrchr(in->data, start, in->size) : NULL;
    struct bytes rest = *in;
    struct bytes before = bytes_take(&rest, found ? (size_t)(found - in->data) : 0);
    bytes_take(&rest, found ? 1 : 0);
    *in = before;
    return rest;
}

/* Take "http://", or what another scheme is called, off @in. */
static bool take_scheme(struct bytes *in)
{
    size_t size = 0;
    while (size < in->size) {
        uint8_t c = in->data[size];
        bool later = is_digit(c) || c == '+' || c == '-' || c == '.';
        if (!is_alpha(c) && !(later && size > 0))
            break;
        size++;
    }
    struct bytes rest = *in;
    bytes_take(&rest, size);
    if (size == 0 || !bytes_equal(bytes_take(&rest, 3), BYTES("://")))
        return false;
    *in = rest;
    return true;
}

/* Take off a port with its colon. A port may be empty (RFC 3986, section 3.2.3). */
static struct bytes without_port(struct bytes authority)
{
    size_t end = authority.size;
    while (end > 0 && is_digit(authority.data[end - 1]))
        end--;
    if (end > 0 && authority.data[end - 1] == ':')
        authority.size = end - 1;
    return authority;
}

struct bytes target_host(struct bytes value)
{
    while (value.size && is_blank(value.data[0]))
        bytes_take(&value, 1);
    while (value.size && is_blank(value.data[value.size - 1]))
        value.size--;

    struct bytes host = without_port(value);
    if (host.size && host.data[host.size - 1] == '.')
        host.size--;
    return host;
}

static void split_path(struct target *t, struct bytes raw)
{
    t->path = take_until(&raw, '?');
    bytes_take(&raw, 1);
    t->query = raw;
}

/* What follows the scheme of absolute form. */
static void split_absolute(struct target *t, struct bytes raw)
{
    struct bytes rest = raw;
    struct bytes before_query = take_until(&rest, '?');
    struct bytes authority = take_until(&before_query, '/');
    bytes_take(&raw, authority.size);

    t->host = target_host(take_after_last(&authority, '@'));
    split_path(t, raw);
    if (t->path.size == 0)
        t->path = BYTES("/");
}

/* Authority form has a port, and nothing but host and port. */
static bool is_authority(struct bytes raw)
{
    return without_port(raw).size < raw.size && !memchr(raw.data, '/', raw.size) &&
           !memchr(raw.data, '?', raw.size) && !memchr(raw.data, '@', raw.size);
}

void target_split(struct target *t, struct bytes raw)
{
    *t = (struct target){0};
    raw = take_until(&raw, '#');
    if (raw.size && raw.data[0] == '/')
        split_path(t, raw);
    else if (take_scheme(&raw))
        split_absolute(t, raw);
    else if (is_authority(raw))
        t->host = target_host(raw);
}

bool target_take_segment(struct bytes *path, struct bytes *segment)
{
    if (path->size == 0)
        return false;
    bytes_take(path, 1);
    *segment = take_until(path, '/');
    return true;
}

bool target_take_last_parameter(struct bytes *query, struct target_parameter *p)
{
    if (query->size == 0)
        return false;

    struct bytes rest = take_after_last(query, '&');
    p->name = take_until(&rest, '=');
    bytes_take(&rest, 1);
    p->value = rest;
    return true;
}
