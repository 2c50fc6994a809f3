/*
 * contract: our own bugs. On in release; prints and aborts. Never applied to what comes from
 * outside.
 *
 * An abort is safe by design: an open transaction rolls back, and the position says where to go on.
 */
#ifndef OW_BASE_CONTRACT_H
#define OW_BASE_CONTRACT_H

/* Says which contract broke and aborts. */
_Noreturn void ow_contract_failed(const char *kind, const char *text, const char *file, int line);

#define OW_CONTRACT_(kind, condition)                                                              \
    ((condition) ? (void)0 : ow_contract_failed(kind, #condition, __FILE__, __LINE__))

#define OW_REQUIRE(condition)   OW_CONTRACT_("require", condition)
#define OW_ENSURE(condition)    OW_CONTRACT_("ensure", condition)
#define OW_INVARIANT(condition) OW_CONTRACT_("invariant", condition)
#define OW_IMPOSSIBLE(why)      ow_contract_failed("impossible", why, __FILE__, __LINE__)

#define OW_CLEANUP(function) __attribute__((cleanup(function)))
#define OW_MUST_USE          __attribute__((warn_unused_result))
#define OW_PRINTF(format_index, first_index)                                                       \
    __attribute__((format(printf, format_index, first_index)))

#endif
