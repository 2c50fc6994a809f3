#include "config_retention.h"

struct ow_retention_rule ow_config_retention_rule(const struct ow_config *config)
{
    return (struct ow_retention_rule){.machines = &config->machines,
                                      .strict = config->claims_strict};
}

void ow_config_retention_compare(const struct ow_config *config, const struct ow_check *check)
{
    const struct ow_retention_rule rule = ow_config_retention_rule(config);
    struct ow_reach reaches[1];
    size_t count = 0;
    if (config->claim_backups_ms > 0) {
        reaches[count++] = (struct ow_reach){.subject = "claims.backups",
                                             .says = "lets backups be restored that are as old as",
                                             .remedy = "claims.backups",
                                             .ms = config->claim_backups_ms};
    }
    ow_retention_compare(&rule, reaches, count, check);
    ow_retention_compare_skew(&rule, config->claim_skew_ms, check);
    ow_retention_compare_parking(&rule, check);
}
