#pragma once

#include "config/config.h"
#include "kinds/names.h"
#include "server/accounts/accounts.h"
#include "server/api/hooks.h"
#include "server/gateway/gateway.h"

struct content;

/* What hooks may use: api_options.context. */
struct hook_context {
    const struct config *config;
    struct store *store;
    struct accounts *accounts;
    struct identifier *identifier;
    struct gateway *gateway;
    const uint16_t *excluded_ports; /* of the environments' range: taken by others */
    size_t excluded_ports_len;
    const char *logs_socket; /* the runner's */
    atomic_bool *runner_present;
    struct content *content; /* data sets and courses */
    struct home_totals *home_totals;
};

extern const struct kind_hooks user_hooks, device_hooks, sandbox_hooks, dataset_hooks, host_hooks;
extern const struct kind_hooks config_map_hooks, cluster_policy_hooks, pod_hooks;
