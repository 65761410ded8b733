#pragma once

/* Where our own kinds are in the API. */
#define GROUP_VERSION "open-hydra-server.openhydra.io/v1"
#define API_PREFIX "/apis/" GROUP_VERSION

/* The plural names of the kinds, as their definitions have them: in paths of the API, and under which the store keeps
 * their objects. */
#define PLURAL_USERS "openhydrausers"
#define PLURAL_DEVICES "devices"
#define PLURAL_SANDBOXES "sandboxes"
#define PLURAL_HOSTS "hosts"
#define PLURAL_DATASETS "datasets"
#define PLURAL_COURSES "courses"
/* Kubernetes' and NVIDIA's, as far as the seed's commands use them. */
#define PLURAL_CONFIG_MAPS "configmaps"
#define PLURAL_CLUSTER_POLICIES "clusterpolicies"
#define PLURAL_PODS "pods"
