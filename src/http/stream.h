#pragma once

#include "http/connection.h"

/* The step SEND_STREAM: pieces of a stream, as chunks (RFC 9112 §7.1; for HTTP/1.0, as they are). */
enum progress stream_send(struct connection *c);
