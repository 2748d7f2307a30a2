//! Which query parameters each read knows, from the contract itself. Another name is refused, and so is one that is given twice: a
//! mistyped `as_of` would get today's figures for an answer about the past. Not here: what a parameter means.

use super::problem::Problem;
use axum::extract::{MatchedPath, Query};
use axum::http::Method;
use axum::http::request::Parts;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::{OpenApi, RefOr};

/// A client that reads lists may send these everywhere: what is no list is one page, and nobody takes it for something else.
const OF_LISTS: [&str; 2] = ["limit", "cursor"];

/// By method and path, as the contract writes them.
pub(super) struct Parameters(BTreeMap<String, Vec<String>>);

impl Parameters {
    pub(super) fn of(contract: &OpenApi) -> Self {
        let mut known = BTreeMap::new();
        for (path, item) in &contract.paths.paths {
            if let Some(read) = &item.get {
                known.insert(key(&Method::GET, path), names_of(read));
            }
            // a read in the clothes of a command
            if let Some(names) = item.post.as_ref().map(names_of).filter(|names| names.iter().any(|it| it == "as_of")) {
                known.insert(key(&Method::POST, path), names);
            }
        }
        Self(known)
    }

    fn check(&self, method: &Method, path: &str, given: &[(String, String)]) -> Result<(), Problem> {
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        let Some(known) = self.0.get(&key(method, path)) else { return Ok(()) };
        let mut seen = BTreeSet::new();
        for (name, _) in given {
            let refused = |why: String| Problem::new("invalid-query", why).with("parameter", name.as_str());
            if !known.contains(name) && !OF_LISTS.contains(&name.as_str()) {
                let takes = if known.is_empty() { "no parameters".to_owned() } else { known.join(", ") };
                return Err(refused(format!("{name}: the call is not asked with it; it takes {takes}")));
            }
            if !seen.insert(name) {
                return Err(refused(format!("{name}: it is given more than once")));
            }
        }
        Ok(())
    }
}

fn key(method: &Method, path: &str) -> String {
    format!("{method} {path}")
}

fn names_of(operation: &Operation) -> Vec<String> {
    let parameters = operation.parameters.iter().flatten().filter_map(|parameter| match parameter {
        RefOr::T(parameter) => Some(parameter),
        RefOr::Ref(_) => None,
    });
    parameters.filter(|it| it.parameter_in == ParameterIn::Query).map(|it| it.name.clone()).collect()
}

/// Of a caller who is known: to others it is not said what a call takes.
pub(super) fn check(parts: &Parts) -> Result<(), Problem> {
    if parts.uri.query().is_none_or(str::is_empty) {
        return Ok(());
    }
    let (Some(parameters), Some(path)) =
        (parts.extensions.get::<Arc<Parameters>>(), parts.extensions.get::<MatchedPath>())
    else {
        return Ok(());
    };
    match Query::<Vec<(String, String)>>::try_from_uri(&parts.uri) {
        Ok(Query(given)) => parameters.check(&parts.method, path.as_str(), &given),
        Err(error) => Err(Problem::new("invalid-query", error.body_text())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_knows_what_the_contract_says_and_a_command_is_not_looked_at() {
        let parameters = Parameters::of(&crate::http::openapi());
        let told = |method: &Method, path: &str, given: &[&str]| {
            let given: Vec<_> = given.iter().map(|name| ((*name).to_owned(), "1".to_owned())).collect();
            let path = format!("/v1/tenants/{{tenant}}{path}");
            parameters.check(method, &path, &given).err().map(|problem| problem.to_json()["detail"].clone())
        };
        assert_eq!(told(&Method::GET, "/pools/{pool}", &["as_of", "as_known_at", "at_least"]), None);
        assert_eq!(told(&Method::GET, "/reports", &["limit"]), None, "there is one page");
        for method in [Method::GET, Method::HEAD] {
            let why = told(&method, "/pools/{pool}", &["asof"]).unwrap();
            assert_eq!(why, "asof: the call is not asked with it; it takes at_least, as_of, as_known_at");
        }
        let none = told(&Method::GET, "/log/key", &["as_of"]).unwrap();
        assert_eq!(none, "as_of: the call is not asked with it; it takes no parameters");
        let twice = told(&Method::GET, "/users", &["limit", "as_of", "limit"]).unwrap();
        assert_eq!(twice, "limit: it is given more than once");
        assert!(told(&Method::POST, "/pools/{pool}/deficit/plan", &["asof"]).is_some());
        assert!(told(&Method::GET, "/events/stream", &["order"]).is_some(), "events come as they happen");
        assert_eq!(told(&Method::POST, "/assignments", &["x", "x"]), None);
    }
}
