#pragma once

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"

/*
 * What an environment with a network may reach: the internet, name servers on their port, and what its sandbox lists.
 * Not the host, whatever its addresses are, not other environments, not private or link-local networks (where clouds
 * keep their keys), no multicast, and nothing by IPv6. The rules stand in the environment's own network namespace,
 * where nobody has the rights to change them and no firewall of the host's throws them away; they go with it.
 */
struct network_rules {
    const char *const *hosts; /* addresses of this machine */
    size_t hosts_len;
    const char *const *name_servers;
    size_t name_servers_len;
    const char *const *allowed; /* «10.1.2.0/24» */
    size_t allowed_len;
};

/* As `nft -f` reads them, and as `iptables-restore` does. What is no IPv4 address is left out. */
void network_rules_nft(struct buffer *b, const struct network_rules *r);
void network_rules_iptables(struct buffer *b, const struct network_rules *r);
/* «1.2.3.4», or «1.2.3.4/24». */
bool network_is_address(const char *s, bool with_prefix);
/* Those that a resolv.conf(5) names. */
const char *const *network_name_servers(struct arena *a, struct str text, size_t *n);
/* Addresses of this machine, separated by blanks, sorted. The caller frees. */
char *network_own_addresses(void);
/* Sets the rules in the network namespace of that process, which is not ours. */
int network_guard(int pid, const struct network_rules *r, struct error **err) _must_check_;
