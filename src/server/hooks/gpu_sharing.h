#pragma once

#include "server/hooks/context.h"

/*
 * How many environments share a GPU, as the seed's administrator says it with kubectl: the ConfigMap of gpu-operator
 * that the ClusterPolicy cluster-policy names. What counts of it is written into each Host (spec.gpuTimeSlicing), where
 * its runner reads it; that of the configuration (gpuTimeSlicing: FILE) counts where there is none.
 */
#define CLUSTER_POLICY "cluster-policy"

/* Into a Host on its way through. */
void gpu_sharing_write(struct admission *a, struct store_txn *t);
