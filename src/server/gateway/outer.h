#pragma once

#include "base/buffer.h"
#include "config/config.h"

/*
 * Pieces of nginx.conf for where another proxy stands before ours (config/public.h). Only of trustedProxies is it taken
 * where a client is (X-Forwarded-For) and by which scheme it came (X-Forwarded-Proto); with none of them nothing that a
 * client says of itself counts. Between these proxies the last address of the list that is none of theirs is the
 * client's: whatever it wrote there itself stands before that.
 */
void outer_write_real_ip(struct buffer *b, const struct config *c);
/* For a `geo` block over the other end of the connection. */
void outer_write_trusted(struct buffer *b, const struct config *c);
/* For `map` blocks: from the dashboard's Host, and from an environment's to its port. */
void outer_write_proxied_hosts(struct buffer *b, const struct config *c);
void outer_write_environment_hosts(struct buffer *b, const struct config *c);
/* What browsers came by, whatever this proxy was reached by. */
const char *outer_scheme(const struct config *c);
