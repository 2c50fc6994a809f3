/*
 * config_retention: how far back the configuration itself lets things come again, compared with how
 * long its machines keep claims.
 *
 * Threads: the main thread, at start.
 */
#ifndef OW_CMD_CONFIG_RETENTION_H
#define OW_CMD_CONFIG_RETENTION_H

#include "config.h"
#include "model/retention.h"

struct ow_retention_rule ow_config_retention_rule(const struct ow_config *config);

/* What the configuration says; how long topics keep records is asked of the brokers. */
void ow_config_retention_compare(const struct ow_config *config, const struct ow_check *check);

#endif
