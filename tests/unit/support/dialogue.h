/*
 * An engine on trial and one conversation with it, anew for each case: what most
 * tests of the engine need. The words are those of the cases, without a prefix.
 *
 * Units    bytes; nanoseconds
 * Owns     the trial
 * Threads  one at a time
 */
#pragma once

#include "support/conversation.h"
#include "support/trial.h"

/* What a connection adds that carries nothing: SYN, SYN and ACK, ACK; FIN, FIN, ACK. */
enum { HEADERS = 40, OPEN_IN = 80, OPEN_OUT = 40, CLOSE_IN = 80, CLOSE_OUT = 40 };

#define SECOND_NS 1000000000ull

#define REQUEST(name) "GET /?s=" name " HTTP/1.1\r\nHost: h\r\n\r\n"
#define REPLY_OK      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

enum { REQUEST_BYTES = sizeof(REQUEST("yo")) - 1, REPLY_BYTES = sizeof(REPLY_OK) - 1 };

extern struct trial t;
extern struct conversation c;

/* Before and after each case. */
int begin(void **state);
int end(void **state);
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

/* In a case: begin once more. */
void again(const struct trial_options *options);

/* A segment of the client, and of the server. */
void request(const char *text);
void reply(const char *text);

/* See trial_transactions(). */
void assert_told(const char *transactions);

const struct direction_counts *counts(const char *service, enum direction d);
void assert_counts(const char *service, enum direction d, struct direction_counts expected);

/* All that the client and the server of @c have sent went to @service. */
void assert_all_went_to(const char *service);

/* No byte of the interface. */
void assert_nothing_was_http(void);
