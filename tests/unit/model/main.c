#include "groups.h"

int main(void)
{
    int failed = 0;
    failed += ow_test_tree();
    failed += ow_test_option();
    failed += ow_test_option_kinds();
    failed += ow_test_form();
    failed += ow_test_machine();
    failed += ow_test_machine_edges();
    failed += ow_test_cell();
    failed += ow_test_lint();
    failed += ow_test_hash();
    failed += ow_test_json();
    failed += ow_test_envelope();
    failed += ow_test_event();
    failed += ow_test_decide();
    failed += ow_test_difference();
    failed += ow_test_position();
    failed += ow_test_ledger();
    failed += ow_test_evaluate();
    failed += ow_test_prove();
    failed += ow_test_prove_values();
    failed += ow_test_prove_planted();
    failed += ow_test_retention();
    failed += ow_test_seed();
    failed += ow_test_suspect();
    failed += ow_test_suspect_kills();
    return failed == 0 ? 0 : 1;
}
