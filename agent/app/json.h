/*
 * jansson, with AUTO(json_decref) for a json_t that a local owns.
 *
 * Owns     nothing
 * Threads  as jansson's
 */
#pragma once

#include <jansson.h>

#include "base/macros.h"

AUTO_DEFINE(json_t, json_decref)
