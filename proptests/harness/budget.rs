//! How long the suites may go on that get better the longer they do.

/// `SEATLEDGER_TEST_BUDGET` is `full`: hours are fine. Else it is `ci`, and a minute is much.
pub(crate) fn is_budget_full() -> bool {
    #[expect(clippy::disallowed_methods, reason = "the program's environment is another matter than that of its tests")]
    let budget = std::env::var("SEATLEDGER_TEST_BUDGET");
    budget.is_ok_and(|budget| budget == "full")
}

/// How many of something, if the environment names a number under this name.
pub(crate) fn asked_number(name: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "the program's environment is another matter than that of its tests")]
    let text = std::env::var(name);
    text.ok().map(|text| text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error}")))
}

/// Words with commas between them, if the environment has some under this name.
pub(crate) fn asked_words(name: &str) -> Option<Vec<String>> {
    #[expect(clippy::disallowed_methods, reason = "the program's environment is another matter than that of its tests")]
    let text = std::env::var(name);
    text.ok().map(|text| text.split(',').map(str::to_owned).collect())
}
