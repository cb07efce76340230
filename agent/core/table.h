/*
 * uthash as our tables use it: memory that is short is an outcome, not the end.
 * Included instead of uthash.h. An element that could not be added has hh.tbl
 * NULL.
 */
#pragma once

#define HASH_NONFATAL_OOM 1
#include <utlist.h>
#include <uthash.h>
