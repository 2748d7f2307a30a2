//! How long the suites may go on that get better the longer they do.

/// `SEATLEDGER_TEST_BUDGET` is `full`: hours are fine. Else it is `ci`, and a minute is much.
pub(crate) fn is_budget_full() -> bool {
    #[expect(clippy::disallowed_methods, reason = "the program's environment is another matter than that of its tests")]
    let budget = std::env::var("SEATLEDGER_TEST_BUDGET");
    budget.is_ok_and(|budget| budget == "full")
}
