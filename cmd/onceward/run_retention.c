#include "run_retention.h"

#include "config_retention.h"

static void log_line(void *context, enum ow_check_level level, enum ow_status status,
                     const char *subject, const char *text)
{
    static const enum ow_log_level levels[] = {[OW_CHECK_GOOD] = OW_LOG_DEBUG,
                                               [OW_CHECK_WARNING] = OW_LOG_WARN,
                                               [OW_CHECK_FAILED] = OW_LOG_ERROR};
    struct ow_run_retention *const retention = context;
    ow_log(levels[level], "claim_retention", "subject=%s text=\"%s\"", subject, text);
    if (retention->status == OW_OK && level == OW_CHECK_FAILED) {
        retention->status = ow_fail(&retention->err, status, "%s: %s", subject, text);
    }
}

static void take(struct ow_run_retention *retention, int wait_ms)
{
    const struct ow_check check = {.line = log_line, .context = retention};
    if (retention->asked != NULL &&
        ow_kafka_retention_compare(retention->asked, wait_ms, &retention->rule, &check)) {
        ow_run_retention_done(retention);
    }
}

static enum ow_status refusal(const struct ow_run_retention *retention, struct ow_err *err)
{
    if (retention->status != OW_OK) {
        *err = retention->err;
    }
    return retention->status;
}

enum ow_status ow_run_retention_ask(struct ow_run_retention *retention,
                                    const struct ow_config *config, struct ow_source *source,
                                    struct ow_err *err)
{
    const struct ow_check check = {.line = log_line, .context = retention};
    *retention = (struct ow_run_retention){.rule = ow_config_retention_rule(config)};
    ow_config_retention_compare(config, &check);
    retention->asked = ow_kafka_retention_ask(source);
    return refusal(retention, err);
}

enum ow_status ow_run_retention_settle(struct ow_run_retention *retention, struct ow_err *err)
{
    enum { SHORT_MS = 200, SPARE_MS = 1000 }; /* brokers that answer mostly have by now */
    take(retention, retention->rule.strict ? OW_KAFKA_RETENTION_MS + SPARE_MS : SHORT_MS);
    OW_TRY(refusal(retention, err));
    return retention->rule.strict && retention->asked != NULL
               ? ow_fail(err, OW_TEMPORARY, "the brokers did not tell how long topics keep records")
               : OW_OK;
}

void ow_run_retention_look(struct ow_run_retention *retention)
{
    take(retention, 0);
}

void ow_run_retention_done(struct ow_run_retention *retention)
{
    ow_kafka_retention_forget(retention->asked);
    retention->asked = NULL;
}
